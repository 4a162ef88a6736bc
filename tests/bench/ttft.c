/* ttft - time to first token, directly by libcurl or through the daemon.
 *
 *   ttft direct URL THREADS ROUNDS          POST a small streaming chat, wait for the first text
 *   ttft daemon SOCKET REF THREADS ROUNDS   prompt.start, wait for the first delta
 *   ttft switch SOCKET ROUNDS               route.set by one client, seen by a subscribed one: time from
 *                                           the reply to the event
 *
 * Each thread has a connection of its own and reads every stream to its end. Prints microseconds:
 * p50 p90 p99 max, and how many. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "protocol/client.h"

struct worker {
	pthread_t thread;
	int number, rounds;
	const char *url, *socket, *ref;
	double *us;
	int count;
};

static pthread_barrier_t barrier;

static double
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Streams of different people are not in step: each thread starts at its own moment within 250 ms. */
static void
stagger(const struct worker *w)
{
	usleep((useconds_t)(w->number * 7919 % 250 * 1000));
}

static void
die(const char *what)
{
	fprintf(stderr, "ttft: %s\n", what);
	exit(1);
}

static int
dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		die("cannot connect to the daemon");
	return fd;
}

struct direct {
	double first;
	bool seen;
};

/* The first piece of text: the mock's pieces carry "t=<microseconds>;". */
static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	struct direct *d = arg;

	if (!d->seen && memmem(data, size * n, "t=", 2) != NULL) {
		d->seen = true;
		d->first = now_us();
	}
	return size * n;
}

static void *
direct_main(void *arg)
{
	struct worker *w = arg;
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURL *h = curl_easy_init();

	curl_easy_setopt(h, CURLOPT_URL, w->url);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_POSTFIELDS, "{\"model\":\"mock-large-2026\",\"messages\":[{\"role\":\"user\","
	    "\"content\":\"hello\"}],\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
	pthread_barrier_wait(&barrier);
	stagger(w);
	for (int i = 0; i < w->rounds; i++) {
		struct direct d = { 0, false };
		double start = now_us();

		curl_easy_setopt(h, CURLOPT_WRITEDATA, &d);
		if (curl_easy_perform(h) != CURLE_OK || !d.seen)
			die("the direct request failed");
		w->us[w->count++] = d.first - start;
	}
	curl_easy_cleanup(h);
	curl_slist_free_all(headers);
	return NULL;
}

/* Reads until a message passes `wanted`; returns the time it was seen. */
static double
until_event(struct client *c, const char *type, bool *failed)
{
	struct message m;
	struct error err;

	for (;;) {
		const struct value *e;

		if (client_next(c, &m, 20000, &err) != 1)
			die("the daemon is gone");
		if (m.kind == MESSAGE_REPLY && value_type(m.error) != VALUE_NIL)
			die("prompt.start failed");
		if (m.kind != MESSAGE_NOTIFICATION)
			continue;
		e = value_at(m.params, 0);
		if (value_equals(value_get(e, "type"), "error"))
			*failed = true;
		if (*failed || value_equals(value_get(e, "type"), type))
			return now_us();
	}
}

static void *
daemon_main(void *arg)
{
	struct worker *w = arg;
	struct client *c = client_new(dial(w->socket));
	struct error err;
	uint32_t id;

	pthread_barrier_wait(&barrier);
	stagger(w);
	for (int i = 0; i < w->rounds; i++) {
		double start = now_us();
		struct pack *p = client_begin(c, "prompt.start", false);
		bool failed = false;

		pack_kv_str(p, "text", "hello");
		pack_kv_str(p, "ref", w->ref);
		if (client_send(c, &id, &err) != 0)
			die("cannot send");
		w->us[w->count++] = until_event(c, "delta", &failed) - start;
		if (!failed)
			until_event(c, "done", &failed);
		if (failed)
			die("the stream failed");
	}
	client_close(c);
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
report(double *us, size_t n)
{
	qsort(us, n, sizeof *us, compare);
	printf("p50=%.0f p90=%.0f p99=%.0f max=%.0f n=%zu\n", us[n / 2], us[n * 9 / 10], us[n * 99 / 100],
	    us[n - 1], n);
}

static void
run(struct worker *proto, void *(*start)(void *), int threads)
{
	struct worker *w = calloc((size_t)threads, sizeof *w);
	double *all = calloc((size_t)threads * (size_t)proto->rounds, sizeof *all);
	size_t n = 0;

	pthread_barrier_init(&barrier, NULL, (unsigned)threads);
	for (int i = 0; i < threads; i++) {
		w[i] = *proto;
		w[i].number = i;
		w[i].us = calloc((size_t)proto->rounds, sizeof *w[i].us);
		pthread_create(&w[i].thread, NULL, start, &w[i]);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(w[i].thread, NULL);
		/* the first round of each connects */
		for (int k = 1; k < w[i].count; k++)
			all[n++] = w[i].us[k];
		free(w[i].us);
	}
	report(all, n);
	free(all);
	free(w);
}

static void
run_switch(const char *path, int rounds)
{
	struct client *set = client_new(dial(path)), *see = client_new(dial(path));
	double *us = calloc((size_t)rounds, sizeof *us);
	const struct value *result;
	struct error err;

	if (client_call(see, "state.subscribe", "{\"topics\":[\"route\"],\"snapshot\":false}", 5000, &result, &err) != 0)
		die("cannot subscribe");
	for (int i = 0; i < rounds; i++) {
		char params[64];
		struct message m;
		double replied;

		snprintf(params, sizeof params, "{\"ref\":\"echo:m%d\"}", i);
		if (client_call(set, "route.set", params, 5000, &result, &err) != 0)
			die("cannot switch");
		replied = now_us();
		if (client_next(see, &m, 5000, &err) != 1)
			die("the switch was never seen");
		us[i] = now_us() - replied;
	}
	report(us, (size_t)rounds);
	client_close(set);
	client_close(see);
	free(us);
}

int
main(int argc, char **argv)
{
	struct worker w = { .count = 0 };

	curl_global_init(CURL_GLOBAL_ALL);
	if (argc == 5 && strcmp(argv[1], "direct") == 0) {
		w.url = argv[2];
		w.rounds = atoi(argv[4]);
		run(&w, direct_main, atoi(argv[3]));
	} else if (argc == 6 && strcmp(argv[1], "daemon") == 0) {
		w.socket = argv[2];
		w.ref = argv[3];
		w.rounds = atoi(argv[5]);
		run(&w, daemon_main, atoi(argv[4]));
	} else if (argc == 4 && strcmp(argv[1], "switch") == 0) {
		run_switch(argv[2], atoi(argv[3]));
	} else {
		die("usage: see the top of ttft.c");
	}
	return 0;
}
