/* Repositories made by the real git, in a temporary folder that goes away. */
#ifndef GIT_TEST_H
#define GIT_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static char test_dir[64];

/* Runs a script by sh in test_dir; what it prints last goes to `out` without the line end. Fails the test when it fails. */
static inline void __attribute__((format(printf, 2, 3))) shell(char out[256], const char *format, ...)
{
	CLEANUP(str_release) struct str script = STR_INIT, command = STR_INIT;
	char line[256] = "";
	FILE *pipe;
	va_list args;
	int status;

	str_addf(&script, "cd %s && export HOME=%s GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME='A U Thor' GIT_AUTHOR_EMAIL=a@example.com "
		 "GIT_COMMITTER_NAME='C O Mitter' GIT_COMMITTER_EMAIL=c@example.com GIT_AUTHOR_DATE='1700000000 +0000' "
		 "GIT_COMMITTER_DATE='1700000100 +0000'\nset -e\n", test_dir, test_dir);
	va_start(args, format);
	str_vaddf(&script, format, args);
	va_end(args);
	str_adds(&command, "/bin/sh -c '");
	for (const char *c = str_c(&script); *c; c++)
		if (*c == '\'')
			str_adds(&command, "'\\''");
		else
			str_addc(&command, *c);
	str_adds(&command, "'");
	pipe = popen(str_c(&command), "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		line[strcspn(line, "\n")] = '\0';
		if (out)
			snprintf(out, 256, "%s", line);
	}
	status = pclose(pipe);
	if (status)
		fail_msg("script ended with %d:\n%s", status, str_c(&script));
}

static inline void test_dir_make(void)
{
	strcpy(test_dir, "/tmp/countersign-test-XXXXXX");
	assert_non_null(mkdtemp(test_dir));
}

static inline void test_dir_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", test_dir);
	assert_int_equal(system(command), 0);
}

#endif
