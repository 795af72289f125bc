/* One PEM block; see pem.h. */
#include "verify/pem.h"

#include "base/encode.h"

#define REASON "BadKey"

/* The line up to '\n', without white space at its end; *rest moves behind it. */
static struct span next_line(struct span *rest)
{
	struct span line = span_cut(rest, '\n');

	while (line.length && (line.data[line.length - 1] == '\r' || line.data[line.length - 1] == ' ' || line.data[line.length - 1] == '\t'))
		line.length--;
	return line;
}

/* The label of "-----BEGIN label-----", or SPAN0. */
static struct span label_of(struct span line, const char *prefix)
{
	size_t before = strlen(prefix);

	if (!span_starts(line, prefix) || !span_ends(line, "-----") || line.length < before + 5)
		return SPAN0;
	return span_sub(line, before, line.length - before - 5);
}

static int read_body(struct span *rest, struct span label, struct str *base64, struct error *err)
{
	while (rest->data) {
		struct span line = next_line(rest);

		if (span_starts(line, "-----")) {
			if (span_equal(label_of(line, "-----END "), label))
				return 0;
			break;
		}
		str_add(base64, line);
	}
	return error_set(err, ERROR_INVALID, REASON, "the PEM block '%.*s' has no matching END line", SPAN_ARG(label));
}

static int check_rest(struct span rest, struct error *err)
{
	rest = span_trim(rest);
	if (!rest.length)
		return 0;
	if (span_starts(rest, "-----BEGIN "))
		return error_set(err, ERROR_INVALID, REASON, "more than one PEM block: give exactly one key");
	return error_set(err, ERROR_INVALID, REASON, "there is text behind the PEM block");
}

int pem_read(struct span text, char label[PEM_LABEL_MAX], struct str *der, struct error *err)
{
	CLEANUP(str_release) struct str base64 = STR_INIT;
	struct span rest = span_trim(text), name = label_of(next_line(&rest), "-----BEGIN ");

	if (!name.length || name.length >= PEM_LABEL_MAX || span_has_nul(name))
		return error_set(err, ERROR_INVALID, REASON,
				 "no PEM key: it must begin with the line -----BEGIN PUBLIC KEY----- (as cosign.pub does)");
	if (read_body(&rest, name, &base64, err) || check_rest(rest, err))
		return -1;
	if (base64_decode(str_span(&base64), der, err)) {
		if (err)
			memcpy(err->reason, REASON, sizeof(REASON));
		return error_wrap(err, "PEM block '%.*s'", SPAN_ARG(name));
	}
	memcpy(label, name.data, name.length);
	label[name.length] = '\0';
	return 0;
}
