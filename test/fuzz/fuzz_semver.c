/* A constraint and a version, separated by a line end: parsing terminates, and order and matching keep their laws. */
#include "base/error.h"
#include "base/semver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_make(data, size), text = span_cut(&rest, '\n'), other = span_cut(&rest, '\n');
	struct semver_constraint constraint;
	struct semver a, b;

	if (!semver_parse(other, &a))
		return 0;
	ASSERT(semver_compare(&a, &a) == 0);
	if (semver_parse(text, &b))
		ASSERT(semver_compare(&a, &b) == -semver_compare(&b, &a));
	if (semver_constraint_parse(text, &constraint)) {
		ASSERT(constraint.count && constraint.clauses[0].first_of_group);
		(void)semver_constraint_matches(&constraint, &a);
	}
	return 0;
}
