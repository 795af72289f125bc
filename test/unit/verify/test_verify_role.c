/* verify inside its sandbox: the role may open no file, so what OpenSSL needs must be there without one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "io/sandbox.h"
#include "verify/sample.h"

static const char *const vectors[] = { "p256", "p384", "p521", "rsa2048", "rsa4096", "ed25519" };

/* The job of one vector, made in a process of its own, so that this one has used no cryptography yet. */
static size_t job_of(const char *folder, char *buffer, size_t size)
{
	size_t length = 0;
	ssize_t n;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	if (!fork()) {
		struct arena *arena = arena_new(0);
		struct sample s = sample_new(arena, vector_image(folder, arena));
		struct str request = STR_INIT;

		sample_trust(&s, "release", vector_read(folder, "key.pub", arena));
		sample_vector_legacy(&s, folder);
		s.trust.keys = s.keys;
		verify_request_encode(&s.evidence, &s.trust, 0, &s.image, &request);
		_exit(write(ends[1], request.data, request.length) != (ssize_t)request.length);
	}
	close(ends[1]);
	while ((n = read(ends[0], buffer + length, size - length)) > 0)
		length += (size_t)n;
	close(ends[0]);
	assert_true(wait(NULL) > 0);
	return length;
}

/* In the child: 0 when the sandbox is entered, no file can be opened, and the claim is a signature. */
static int judge_in_sandbox(struct span job)
{
	struct arena *arena = arena_new(0);
	struct str reply = STR_INIT;
	struct claims claims;
	struct error err = ERROR_INIT;

	if (sandbox_enter(ROLE_VERIFY, &err))
		return 1;
	if (fopen("/etc/passwd", "r"))
		return 2;
	if (verify_serve(job, &reply, &err) || claims_decode(str_span(&reply), arena, &claims, &err))
		return 3;
	return claims.count == 1 && claims.items[0].proves == CLAIM_SIGNATURE ? 0 : 4;
}

static void verify_works_inside_the_sandbox_of_its_role(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		char buffer[16384];
		size_t length = job_of(vectors[i], buffer, sizeof(buffer));
		int status = 0;
		pid_t child = fork();

		if (!child)
			_exit(judge_in_sandbox(span_make(buffer, length)));
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			fail_msg("%s: status %x", vectors[i], status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verify_works_inside_the_sandbox_of_its_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
