/*
 * Times connect() alone, as a program sees it: many TCP connections to one address, in a network
 * namespace of its own, listener and client in one process so that nothing is scheduled between.
 * Prints the median and the 99th percentile in nanoseconds. Not a load generator.
 *
 *   connect ROUNDS TARGET_ADDRESS TARGET_PORT LISTEN_PORT
 *
 * The listener is at 127.0.0.1:LISTEN_PORT. Whether TARGET reaches it is the cgroup's business.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "connect: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A new network namespace has a loopback that is down. */
static void enter_own_network(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	request.ifr_flags = IFF_UP;
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		die("bring up lo");
	close(fd);
}

static struct sockaddr_in socket_address(const char *address, int port)
{
	struct sockaddr_in result = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (inet_pton(AF_INET, address, &result.sin_addr) != 1)
		die("parse address");
	return result;
}

static int listen_at(int port)
{
	struct sockaddr_in local = socket_address("127.0.0.1", port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) || listen(fd, 128))
		die("listen");
	return fd;
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Closes with a reset, so that no port waits in TIME_WAIT. */
static void close_hard(int fd)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static long long time_one_connect(const struct sockaddr_in *target, int listener)
{
	int client = socket(AF_INET, SOCK_STREAM, 0);
	long long start = now_ns();
	long long took;
	int server;

	if (connect(client, (const struct sockaddr *)target, sizeof(*target)))
		die("connect");
	took = now_ns() - start;
	server = accept(listener, NULL, NULL);
	if (server < 0)
		die("accept");
	close_hard(client);
	close_hard(server);
	return took;
}

static int ascending(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct sockaddr_in target;
	long long *times;
	int rounds, listener;

	if (argc != 5) {
		fprintf(stderr, "usage: connect ROUNDS ADDRESS PORT LISTEN_PORT\n");
		return 2;
	}
	rounds = atoi(argv[1]);
	times = calloc(rounds, sizeof(*times));
	if (rounds < 1 || !times)
		die("allocate");
	enter_own_network();
	target = socket_address(argv[2], atoi(argv[3]));
	listener = listen_at(atoi(argv[4]));
	for (int i = 0; i < rounds / 10; i++)
		time_one_connect(&target, listener); /* Warms caches; not counted. */
	for (int i = 0; i < rounds; i++)
		times[i] = time_one_connect(&target, listener);
	qsort(times, rounds, sizeof(*times), ascending);
	printf("%lld %lld\n", times[rounds / 2], times[rounds * 99 / 100]);
	return 0;
}
