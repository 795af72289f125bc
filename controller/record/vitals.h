/*
 * What core tells about itself to whoever watches it: named checks, and the
 * metrics as text. The `web` role asks by one byte and gets a frame back; both
 * directions are decoded strictly, since neither trusts the other. Pure.
 */
#ifndef RECORD_VITALS_H
#define RECORD_VITALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum vitals_ask { VITALS_NONE = 0, VITALS_CHECKS, VITALS_METRICS };

/* Of one frame: more are refused. */
#define VITALS_CHECKS_MAX 32

struct vitals_check {
	const char *name;      /* one word, as in ?exclude= */
	bool ok;
	bool live;             /* counts for /livez too: only what a restart would mend */
	const char *detail;    /* one line */
};

struct vitals {
	enum vitals_ask what;
	struct vitals_check checks[VITALS_CHECKS_MAX];
	size_t check_count;
	struct span metrics;   /* borrowed from the frame */
};

void vitals_ask_encode(enum vitals_ask what, struct str *out);
/* VITALS_NONE for anything else. */
enum vitals_ask vitals_ask_decode(struct span frame);
void vitals_encode(const struct vitals *vitals, struct str *out);
int vitals_decode(struct span frame, struct arena *arena, struct vitals *out, struct error *err);

#endif
