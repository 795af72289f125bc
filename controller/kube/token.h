/*
 * How we log in to an API server: the header "Authorization", from a token, a
 * token's file or a name and password. A projected token is replaced by the
 * kubelet while we run, so its file is read again twice a minute, and after a
 * 401. Loop thread only.
 */
#ifndef KUBE_TOKEN_H
#define KUBE_TOKEN_H

#include "base/str.h"
#include "kube/config.h"

struct token {
	struct str header;         /* "Authorization: ..." or empty */
	char *file;                /* NULL: it never changes by itself */
	int64_t read_ms;
	unsigned number;           /* counts the headers that there were */
};

/* Also when a configuration was read again: what was before is forgotten, and has another number. */
void token_set(struct token *token, const struct kube_config *config);
void token_release(struct token *token);
/* Reads the file, if it is time. One that cannot be read leaves the old token: it may still do, the server will tell. */
void token_refresh(struct token *token);
/* After a 401 to what carried that number: reads the file anew; whether there is another by now. */
bool token_changed(struct token *token, unsigned number);

#endif
