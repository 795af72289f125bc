/* A list of errors that becomes one; see problems.h. */
#include "render/problems.h"

#include <stdio.h>

void problems_add(struct render_problems *problems, const struct error *one)
{
	problems->total++;
	if (problems->count < LIMIT_RENDER_PROBLEMS)
		problems->items[problems->count++] = *one;
}

void problems_addf(struct render_problems *problems, enum error_kind kind, const char *reason, const char *format, ...)
{
	struct error one = { .kind = kind };
	va_list args;

	va_start(args, format);
	snprintf(one.reason, sizeof(one.reason), "%s", reason);
	vsnprintf(one.text, sizeof(one.text), format, args);
	va_end(args);
	problems_add(problems, &one);
}

int problems_sum(const struct render_problems *problems, struct error *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	const size_t room = ERROR_TEXT_MAX - 40;       /* the last words must fit behind the texts */
	size_t told = 0;

	if (!problems->total)
		return 0;
	for (; told < problems->count; told++) {
		struct span one = span_of(problems->items[told].text);

		if (told && text.length + one.length + 2 > room)
			break;
		str_adds(&text, told ? "; " : "");
		str_add(&text, span_sub(one, 0, room));
	}
	if (told < problems->total)
		str_addf(&text, "; and %zu more", problems->total - told);
	return error_set(err, problems->items[0].kind, problems->items[0].reason, "%s", str_c(&text));
}
