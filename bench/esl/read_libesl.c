/* FreeSWITCH's own C client as a reader of the burst. Built by the bench from the sources that LIBESL names.
 * usage: read_libesl <port> <events> <form> <header>... ; prints the figures as one JSON line. */
#include <esl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double seconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static esl_handle_t handle;
	const int expected = atoi(argv[2]);
	int events = 0;
	long values = 0;
	char subscribe[64];

	if (esl_connect(&handle, "127.0.0.1", atoi(argv[1]), NULL, "bench") != ESL_SUCCESS) {
		fprintf(stderr, "libesl could not connect\n");
		return 1;
	}
	snprintf(subscribe, sizeof subscribe, "event %s ALL\n\n", argv[3]);
	const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
	struct rusage before, after;
	getrusage(RUSAGE_SELF, &before);
	esl_send_recv(&handle, subscribe);
	while (events < expected && esl_recv_event(&handle, 1, NULL) == ESL_SUCCESS) {
		if (!handle.last_ievent) continue;
		events++;
		for (int i = 4; i < argc; i++) {
			const char *value = esl_event_get_header(handle.last_ievent, argv[i]);
			if (value && *value) values++;
		}
	}
	getrusage(RUSAGE_SELF, &after);
	printf("{\"cpu_us\": %f, \"events_s\": %f, \"memory_mb\": %f, \"lost\": %d, \"values\": %ld}\n",
	       (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / expected * 1e6, events / (seconds(CLOCK_MONOTONIC) - wall),
	       (after.ru_maxrss - before.ru_maxrss) * 1024 / 1e6, expected - events, values);
	esl_disconnect(&handle);
	return 0;
}
