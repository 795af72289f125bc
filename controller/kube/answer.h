/*
 * What an HTTP answer of the API server means: its object, or its refusal as an
 * error. client.c alone asks.
 */
#ifndef KUBE_ANSWER_H
#define KUBE_ANSWER_H

#include "kube/client.h"

/*
 * To a request of `path`: fills *answer, which has status and arena, and *err, at which answer->err points unless it is good. Of a list the
 * items stay text, in *items, which is of the body.
 */
void answer_read(const char *path, bool is_list, const struct http_answer *http, struct kube_answer *answer, struct span *items,
		 struct error *err);

/* Tells the items of a list. One that cannot be read is the answer's error. */
void answer_tell_items(kube_item *on_item, void *data, struct span items, struct kube_answer *answer, struct error *err);

#endif
