/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The reserved security identities that the programs name themselves; the numbers are Cilium's. */
#pragma once

#define IDENTITY_HOST 1
#define IDENTITY_WORLD 2
#define IDENTITY_INIT 5 /* A pod of this node that has no identity yet. */
#define IDENTITY_REMOTE_NODE 6
