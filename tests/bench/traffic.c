/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * Traffic between two pods.
 *
 *   traffic serve PORT                    answers until its standard input ends; says "ready"
 *   traffic stream HOST PORT MS           prints the bytes a second that the server has read
 *   traffic connections HOST PORT MS      prints connections a second: each is opened, asks one
 *                                         byte, is answered one byte, and is closed
 *
 * The first byte of a connection says which of the two it is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES (256 * 1024)
#define STREAM 's'
#define QUESTION 'q'

static void fail(const char *what)
{
	fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct sockaddr_in address_of(const char *host, const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};

	address.sin_port = htons((uint16_t)atoi(port));
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		fail("read the address");
	return address;
}

/* Reads to the end of the stream, and then says how much that was. */
static void take_stream(int fd)
{
	char *chunk = malloc(CHUNK_BYTES);
	uint64_t total = 0;
	ssize_t got;

	while ((got = read(fd, chunk, CHUNK_BYTES)) > 0)
		total += (uint64_t)got;
	if (write(fd, &total, sizeof(total)) != sizeof(total))
		fail("answer");
	free(chunk);
}

static void *answer(void *arg)
{
	int listener = *(int *)arg;

	for (;;) {
		int fd = accept(listener, NULL, NULL);
		char kind = 0;

		if (fd < 0)
			fail("accept");
		if (read(fd, &kind, 1) == 1) {
			if (kind == STREAM)
				take_stream(fd);
			else if (write(fd, &kind, 1) != 1)
				fail("answer");
			/* The client closes first, so that its ports wait, not ours. */
			while (read(fd, &kind, 1) > 0)
				;
		}
		close(fd);
	}
	return NULL;
}

static void serve(const char *port)
{
	struct sockaddr_in address = address_of("0.0.0.0", port);
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	pthread_t thread;
	char byte;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 128))
		fail("listen");
	if (pthread_create(&thread, NULL, answer, &listener))
		fail("start a thread");
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

static int connect_to(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		fail("connect");
	return fd;
}

static void stream(const struct sockaddr_in *address, double seconds)
{
	char *chunk = calloc(1, CHUNK_BYTES), kind = STREAM;
	int fd = connect_to(address);
	double begin = now_s();
	uint64_t total = 0;

	if (write(fd, &kind, 1) != 1)
		fail("begin");
	while (now_s() - begin < seconds) {
		if (write(fd, chunk, CHUNK_BYTES) < 0)
			fail("write");
	}
	shutdown(fd, SHUT_WR);
	if (read(fd, &total, sizeof(total)) != sizeof(total))
		fail("read the answer");
	printf("%.0f\n", (double)total / (now_s() - begin));
}

static void count_connections(const struct sockaddr_in *address, double seconds)
{
	/* No port waits: a minute of them would be more than there are. */
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	double begin = now_s();
	uint64_t count = 0;

	while (now_s() - begin < seconds) {
		int fd = connect_to(address);
		char byte = QUESTION;

		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			fail("ask");
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
		count++;
	}
	printf("%.1f\n", (double)count / (now_s() - begin));
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;

	if (argc == 3 && strcmp(argv[1], "serve") == 0) {
		serve(argv[2]);
		return 0;
	}
	if (argc != 5) {
		fprintf(stderr, "Usage: traffic serve PORT | stream|connections HOST PORT MS\n");
		return 2;
	}
	address = address_of(argv[2], argv[3]);
	if (strcmp(argv[1], "stream") == 0)
		stream(&address, atof(argv[4]) / 1e3);
	else
		count_connections(&address, atof(argv[4]) / 1e3);
	return 0;
}
