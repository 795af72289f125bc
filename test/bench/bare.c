/*
 * bare: sends the requests of a plan file to one API server, as fast as a window lets it, and says how long it took. It knows nothing of
 * Kubernetes: it is what the controller is measured against.
 *
 *   bare -u URL -a CA.pem -t TOKENFILE -n WINDOW -l LANE_WINDOW -k CONNECTIONS [-H HEADER]… PLAN
 *
 * The plan is a sequence of requests: one line "CLASS LANE METHOD PATH TYPE LENGTH", then LENGTH bytes of body, then a line feed. LANE 1
 * is bounded by LANE_WINDOW besides (Services: the allocator of their addresses takes one at a time). CLASS is a letter; the answer tells
 * for each letter when the last of its requests was answered. One thread, HTTP/2, all answers are read and dropped.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_MAX 256
#define HEADERS_MAX 8

struct entry {
	char class;
	int lane;
	char method[8], type[64];
	const char *path, *body;      /* into the plan */
	size_t length;
};

struct slot {
	CURL *easy;
	struct curl_slist *headers;
	const struct entry *entry;
	double began;
	char error[400];
	size_t error_length;
};

static struct {
	const char *url, *ca, *token;
	int window, lane_window, connections;
	const char *headers[HEADERS_MAX];
	int header_count;
} options = { .window = 32, .lane_window = 4, .connections = 2 };

static struct entry *entries;
static size_t entry_count, failed;
static double *latencies;
static size_t latency_count;
static double last_of[128];
static size_t count_of[128];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, const char *which)
{
	fprintf(stderr, "bare: %s: %s\n", what, which);
	exit(2);
}

static char *read_all(const char *path, size_t *length)
{
	FILE *file = fopen(path, "rb");
	char *bytes;
	long size;

	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET))
		die("cannot read", path);
	bytes = malloc((size_t)size + 1);
	if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size)
		die("cannot read", path);
	fclose(file);
	bytes[size] = '\0';
	if (length)
		*length = (size_t)size;
	return bytes;
}

static void read_plan(const char *path)
{
	size_t length, capacity = 0;
	char *at = read_all(path, &length), *end = at + length;

	while (at < end) {
		char *line_end = memchr(at, '\n', (size_t)(end - at));
		char *words[6], *save = NULL;
		struct entry *entry;

		if (!line_end)
			die("the plan is cut off", path);
		*line_end = '\0';
		for (int i = 0; i < 6; i++)
			if (!(words[i] = strtok_r(i ? NULL : at, " ", &save)))
				die("a line has no six words", at);
		if (entry_count == capacity)
			entries = realloc(entries, (capacity = capacity ? 2 * capacity : 1024) * sizeof(*entries));
		entry = &entries[entry_count++];
		*entry = (struct entry){ .class = words[0][0], .lane = atoi(words[1]), .path = words[3], .body = line_end + 1,
					 .length = strtoul(words[5], NULL, 10) };
		snprintf(entry->method, sizeof(entry->method), "%s", words[2]);
		snprintf(entry->type, sizeof(entry->type), "Content-Type: %s", words[4]);
		at = line_end + 1 + entry->length + 1;
	}
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
	struct slot *slot = data;
	size_t length = size * count, room = sizeof(slot->error) - 1 - slot->error_length;

	memcpy(slot->error + slot->error_length, bytes, length < room ? length : room);
	slot->error_length += length < room ? length : room;
	return length;
}

static void prepare(struct slot *slot)
{
	CURL *easy = slot->easy = curl_easy_init();

	curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
}

static void start(CURLM *multi, struct slot *slot, const struct entry *entry)
{
	char text[2048];

	slot->entry = entry;
	slot->error_length = 0;
	slot->began = now();
	curl_slist_free_all(slot->headers);
	slot->headers = curl_slist_append(NULL, entry->type);
	for (int i = 0; i < options.header_count; i++)
		/* own books are written as oneself */
		if (entry->class != 's' || strncmp(options.headers[i], "Impersonate", 11))
			slot->headers = curl_slist_append(slot->headers, options.headers[i]);
	snprintf(text, sizeof(text), "Authorization: Bearer %s", options.token);
	slot->headers = curl_slist_append(slot->headers, text);
	slot->headers = curl_slist_append(slot->headers, "Accept: application/json");
	slot->headers = curl_slist_append(slot->headers, "Expect:");
	snprintf(text, sizeof(text), "%s%s", options.url, entry->path);
	curl_easy_setopt(slot->easy, CURLOPT_URL, text);
	curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->headers);
	curl_easy_setopt(slot->easy, CURLOPT_CUSTOMREQUEST, entry->method);
	if (entry->length) {
		curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, entry->body);
		curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)entry->length);
	} else {
		curl_easy_setopt(slot->easy, CURLOPT_HTTPGET, 1L);
	}
	curl_multi_add_handle(multi, slot->easy);
}

static void finish(struct slot *slot, CURLcode code, double began)
{
	const struct entry *entry = slot->entry;
	double at = now();
	long status = 0;

	curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
	latencies[latency_count++] = at - slot->began;
	last_of[(int)entry->class & 127] = at - began;
	count_of[(int)entry->class & 127]++;
	if (code == CURLE_OK && status >= 200 && status < 300)
		return;
	slot->error[slot->error_length] = '\0';
	if (failed++ < 3)
		fprintf(stderr, "bare: %s %s: %ld %s %s\n", entry->method, entry->path, status, curl_easy_strerror(code), slot->error);
}

/* Indexes of the entries, in the order of the plan: of lane 1, and of all others. */
static size_t *queues[2], queue_length[2], queue_at[2];

static void make_queues(void)
{
	for (int lane = 0; lane < 2; lane++)
		queues[lane] = malloc((entry_count + 1) * sizeof(size_t));
	for (size_t i = 0; i < entry_count; i++) {
		int lane = entries[i].lane == 1;

		queues[lane][queue_length[lane]++] = i;
	}
}

/* The first in the plan that may be sent now: one that its lane holds up lets others pass. */
static const struct entry *next(int in_lane)
{
	size_t best = entry_count;
	int from = -1;

	for (int lane = 0; lane < 2; lane++) {
		if (queue_at[lane] == queue_length[lane] || (lane && in_lane >= options.lane_window))
			continue;
		if (queues[lane][queue_at[lane]] < best) {
			best = queues[lane][queue_at[lane]];
			from = lane;
		}
	}
	if (from < 0)
		return NULL;
	queue_at[from]++;
	return &entries[best];
}

static void run(void)
{
	static struct slot slots[WINDOW_MAX];
	struct slot *idle[WINDOW_MAX];
	CURLM *multi = curl_multi_init();
	int idle_count = options.window, in_lane = 0, running = 0, left;
	size_t done = 0;
	double began = now();
	CURLMsg *message;

	curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)((options.window + options.connections - 1) / options.connections));
	for (int i = 0; i < options.window; i++) {
		prepare(&slots[i]);
		idle[i] = &slots[i];
	}
	while (done < entry_count) {
		const struct entry *entry;

		while (idle_count && (entry = next(in_lane))) {
			in_lane += entry->lane == 1;
			start(multi, idle[--idle_count], entry);
		}
		curl_multi_perform(multi, &running);
		while ((message = curl_multi_info_read(multi, &left))) {
			struct slot *slot;

			if (message->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
			finish(slot, message->data.result, began);
			in_lane -= slot->entry->lane == 1;
			curl_multi_remove_handle(multi, slot->easy);
			idle[idle_count++] = slot;
			done++;
		}
		if (running)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void tell(double seconds)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	qsort(latencies, latency_count, sizeof(*latencies), by_value);
	printf("{\"count\": %zu, \"failed\": %zu, \"seconds\": %.4f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"cpu_s\": %.3f, \"classes\": {",
	       entry_count, failed, seconds, latencies[latency_count / 2] * 1e3, latencies[latency_count * 99 / 100] * 1e3,
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
	for (int i = 0, first = 1; i < 128; i++)
		if (count_of[i]) {
			printf("%s\"%c\": {\"count\": %zu, \"seconds\": %.4f}", first ? "" : ", ", i, count_of[i], last_of[i]);
			first = 0;
		}
	printf("}}\n");
}

int main(int argc, char **argv)
{
	double began;
	int option;

	while ((option = getopt(argc, argv, "u:a:t:n:l:k:H:")) != -1)
		switch (option) {
		case 'u': options.url = optarg; break;
		case 'a': options.ca = optarg; break;
		case 't': options.token = strtok(read_all(optarg, NULL), ",\n"); break;
		case 'n': options.window = atoi(optarg); break;
		case 'l': options.lane_window = atoi(optarg); break;
		case 'k': options.connections = atoi(optarg); break;
		case 'H':
			if (options.header_count < HEADERS_MAX)
				options.headers[options.header_count++] = optarg;
			break;
		default: return 2;
		}
	if (optind + 1 != argc || !options.url || !options.ca || !options.token || options.window < 1 || options.window > WINDOW_MAX)
		die("usage", "bare -u URL -a CA -t TOKENFILE [-n WINDOW] [-l LANE_WINDOW] [-k CONNECTIONS] [-H HEADER] PLAN");
	read_plan(argv[optind]);
	make_queues();
	latencies = malloc((entry_count + 1) * sizeof(*latencies));
	latencies[0] = 0;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	began = now();
	run();
	tell(now() - began);
	return failed ? 1 : 0;
}
