/* One function; see git_error.h. */
#include "source/git_error.h"

#include <git2.h>
#include <stdio.h>

#include "base/str.h"

int git_error_to(struct error *err, enum error_kind kind, const char *reason, const char *format, ...)
{
	const git_error *last = git_error_last();
	CLEANUP(str_release) struct str text = STR_INIT;
	va_list args;

	va_start(args, format);
	str_vaddf(&text, format, args);
	va_end(args);
	str_addf(&text, ": %s", last && last->message ? last->message : "no reason given");
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.data[i] < 0x20)
			text.data[i] = ' ';
	if (last && last->klass == GIT_ERROR_NOMEMORY)
		return error_set(err, ERROR_LIMIT, "TooLarge", "%s", str_c(&text));
	return error_set(err, kind, reason, "%s", str_c(&text));
}
