import { describe, expect, test } from "@jest/globals";
import { mirrorsFromSources, transportSettings } from "../../../../deploy/images/apt-sources.ts";

const STANZAS = `# a mirror of ours
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm
  bookworm-updates
Components: main contrib

Types: deb
# where fixes come from
URIs: https://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://other.example/debian
Suites: bookworm
Components: main
`;

describe("mirrorsFromSources", () => {
  test("reads stanzas: the release, its updates and its fixes, each from its mirror", () => {
    const files = [{ name: "/etc/apt/sources.list.d/debian.sources", text: STANZAS }];
    expect(mirrorsFromSources(files, "bookworm")).toEqual({
      mirror: "http://mirror.example/debian",
      sourcesList:
        "deb http://mirror.example/debian bookworm main\n" +
        "deb http://mirror.example/debian bookworm-updates main\n" +
        "deb https://mirror.example/debian-security bookworm-security main\n",
    });
  });

  test("reads lines with options and comments, and takes no third party for Debian", () => {
    const text = [
      "# deb http://gone.example/debian bookworm main",
      "deb cdrom:[Debian 12]/ bookworm main",
      "deb http://packages.example/debian bookworm stable",
      "deb http://postgres.example/apt bookworm-pgdg main",
      "deb-src http://source.example/debian bookworm main",
      "deb [arch=amd64 signed-by=/etc/key.gpg] http://mirror.example/debian bookworm contrib main # ours",
    ].join("\n");
    expect(mirrorsFromSources([{ name: "/etc/apt/sources.list", text }], "bookworm")).toEqual({
      mirror: "http://mirror.example/debian",
      sourcesList: "deb http://mirror.example/debian bookworm main\n",
    });
  });

  test("says that no mirror of the release is known, and what to do instead", () => {
    expect(() => mirrorsFromSources([], "bookworm")).toThrow("name no mirror of bookworm");
  });
});

describe("transportSettings", () => {
  test("takes what decides how a mirror is reached, and nothing else", () => {
    const dump = [
      'Acquire::http::Proxy "http://proxy.example:3128";',
      'Acquire::https::Verify-Peer "true";',
      'Acquire::Retries "3";',
      'Acquire::http::Proxy-Auto-Detect "";',
      'Acquire::cdrom::mount "/media/cdrom/";',
      'DPkg::Post-Invoke:: "rm -rf /";',
    ].join("\n");
    expect(transportSettings(dump).trimEnd().split("\n")).toEqual(dump.split("\n").slice(0, 3));
  });
});
