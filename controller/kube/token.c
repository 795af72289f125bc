/* The header that logs us in; see token.h. */
#include "kube/token.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/encode.h"
#include "io/file.h"

#define MAX_AGE_MS 30000
#define BYTES_MAX (64u << 10)

void token_refresh(struct token *token)
{
	CLEANUP(str_release) struct str text = STR_LIMIT(BYTES_MAX), line = STR_INIT;

	if (!token->file || (token->read_ms && clock_mono_ms() - token->read_ms < MAX_AGE_MS))
		return;
	if (file_read(token->file, BYTES_MAX, &text, NULL))
		return;
	token->read_ms = clock_mono_ms();
	str_addf(&line, "Authorization: Bearer %.*s", SPAN_ARG(span_trim(str_span(&text))));
	if (span_equal(str_span(&line), str_span(&token->header)))
		return;
	str_reset(&token->header);
	str_add(&token->header, str_span(&line));
	token->number++;
}

bool token_changed(struct token *token, unsigned number)
{
	token->read_ms = 0;
	token_refresh(token);
	return token->number != number;
}

void token_set(struct token *token, const struct kube_config *config)
{
	CLEANUP(str_release) struct str user = STR_INIT;

	free(TAKE(token->file));
	str_reset(&token->header);
	token->number++;
	token->read_ms = 0;
	if (config->token)
		str_addf(&token->header, "Authorization: Bearer %s", config->token);
	if (!config->token && config->username && config->password) {
		str_addf(&user, "%s:%s", config->username, config->password);
		str_adds(&token->header, "Authorization: Basic ");
		base64_encode(str_span(&user), &token->header);
	}
	if (config->token_file)
		token->file = mem_strdup(config->token_file);
	token_refresh(token);
}

void token_release(struct token *token)
{
	str_release(&token->header);
	free(token->file);
}
