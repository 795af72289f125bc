/* See unidiff.h. */
#include "cli/unidiff.h"

#include "base/arena.h"

struct lines {
	struct span *items;
	size_t count;
};

struct edit {
	char mark;                 /* ' ', '-' or '+' */
	struct span line;
};

struct script {
	struct arena *arena;
	struct edit *edits;
	size_t count, capacity;
};

static struct lines split(struct span text, struct arena *arena)
{
	struct lines lines = { NULL, 0 };
	size_t capacity = 0;

	while (text.length) {
		struct span *slot = arena_push(arena, &lines.items, &lines.count, &capacity, sizeof(*slot));

		*slot = span_cut(&text, '\n');
	}
	return lines;
}

static void add(struct script *script, char mark, struct span line)
{
	struct edit *edit = arena_push(script->arena, &script->edits, &script->count, &script->capacity, sizeof(*edit));

	*edit = (struct edit){ mark, line };
}

static void add_all(struct script *script, char mark, struct lines lines)
{
	for (size_t i = 0; i < lines.count; i++)
		add(script, mark, lines.items[i]);
}

/* --- the shortest script ------------------------------------------------------------------------------------------- */

/* reach[d] holds, for each diagonal k = -d..d, how far into `a` d edits come on it; at index k + d. */
struct search {
	struct lines a, b;
	int32_t *reach[UNIDIFF_EDITS_MAX + 1];
	int32_t depth;
};

static int32_t reach_at(const struct search *search, int32_t d, int32_t k)
{
	return k < -d || k > d ? -1 : search->reach[d][k + d];
}

/* Whether the way onto diagonal k with d edits comes from k + 1 (a line of `b` is added) rather than k - 1. */
static bool comes_down(const struct search *search, int32_t d, int32_t k)
{
	return k == -d || (k != d && reach_at(search, d - 1, k - 1) < reach_at(search, d - 1, k + 1));
}

static int32_t advance(const struct search *search, int32_t d, int32_t k)
{
	int32_t x = d == 0 ? 0 : comes_down(search, d, k) ? reach_at(search, d - 1, k + 1) : reach_at(search, d - 1, k - 1) + 1;

	while ((size_t)x < search->a.count && x - k >= 0 && (size_t)(x - k) < search->b.count &&
	       span_equal(search->a.items[x], search->b.items[x - k]))
		x++;
	return x;
}

static bool find(struct search *search, struct arena *arena)
{
	int32_t goal = (int32_t)search->a.count - (int32_t)search->b.count;

	for (int32_t d = 0; d <= UNIDIFF_EDITS_MAX; d++) {
		search->reach[d] = arena_calloc(arena, (size_t)(2 * d + 1), sizeof(int32_t));
		for (int32_t k = -d; k <= d; k += 2) {
			search->reach[d][k + d] = advance(search, d, k);
			if (k == goal && (size_t)search->reach[d][k + d] >= search->a.count) {
				search->depth = d;
				return true;
			}
		}
	}
	return false;
}

static void reverse(struct script *script)
{
	for (size_t i = 0; i < script->count / 2; i++) {
		struct edit kept = script->edits[i];

		script->edits[i] = script->edits[script->count - 1 - i];
		script->edits[script->count - 1 - i] = kept;
	}
}

/* From the end back to the start. */
static void trace(const struct search *search, struct script *script)
{
	int32_t x = (int32_t)search->a.count, k = x - (int32_t)search->b.count;

	for (int32_t d = search->depth; d >= 0; d--) {
		bool down = d > 0 && comes_down(search, d, k);
		int32_t from = d == 0 ? 0 : down ? reach_at(search, d - 1, k + 1) : reach_at(search, d - 1, k - 1) + 1;

		for (; x > from; x--)
			add(script, ' ', search->a.items[x - 1]);
		if (d == 0)
			break;
		if (down) {
			add(script, '+', search->b.items[x - k - 1]);
			k++;
		} else {
			add(script, '-', search->a.items[--x]);
			k--;
		}
	}
	reverse(script);
}

static void compare(struct lines a, struct lines b, struct script *script)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct search *search = ARENA_NEW(arena, struct search);
	struct script middle = { .arena = arena };

	search->a = a;
	search->b = b;
	if (!find(search, arena)) {
		add_all(script, '-', a);
		add_all(script, '+', b);
		return;
	}
	trace(search, &middle);
	for (size_t i = 0; i < middle.count; i++)
		add(script, middle.edits[i].mark, middle.edits[i].line);
}

static struct lines part(struct lines lines, size_t from, size_t count)
{
	return (struct lines){ lines.items + from, count };
}

/* --- hunks --------------------------------------------------------------------------------------------------------- */

static bool near_change(const struct script *script, size_t at)
{
	size_t from = at > UNIDIFF_CONTEXT ? at - UNIDIFF_CONTEXT : 0;

	for (size_t i = from; i <= at + UNIDIFF_CONTEXT && i < script->count; i++)
		if (script->edits[i].mark != ' ')
			return true;
	return false;
}

static void add_hunk(const struct script *script, size_t from, size_t to, size_t before, size_t after, struct str *out)
{
	size_t removed = 0, added = 0;

	for (size_t i = from; i < to; i++) {
		removed += script->edits[i].mark != '+';
		added += script->edits[i].mark != '-';
	}
	/* an empty side is named by the line before it */
	str_addf(out, "@@ -%zu,%zu +%zu,%zu @@\n", before + (removed ? 1 : 0), removed, after + (added ? 1 : 0), added);
	for (size_t i = from; i < to; i++) {
		str_addc(out, script->edits[i].mark);
		str_add(out, script->edits[i].line);
		str_addc(out, '\n');
	}
}

static void add_hunks(const struct script *script, struct str *out)
{
	size_t before = 0, after = 0, i = 0;

	while (i < script->count) {
		size_t to = i, hunk_before = before, hunk_after = after;

		for (; to < script->count && near_change(script, to); to++) {
			before += script->edits[to].mark != '+';
			after += script->edits[to].mark != '-';
		}
		if (to > i) {
			add_hunk(script, i, to, hunk_before, hunk_after, out);
			i = to;
			continue;
		}
		before++;
		after++;
		i++;
	}
}

bool unidiff(struct span before, struct span after, const char *before_name, const char *after_name, struct str *out)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct script script = { .arena = arena };
	struct lines a = split(before, arena), b = split(after, arena);
	size_t head = 0, tail = 0;

	if (span_equal(before, after))
		return false;
	while (head < a.count && head < b.count && span_equal(a.items[head], b.items[head]))
		head++;
	while (tail < a.count - head && tail < b.count - head && span_equal(a.items[a.count - 1 - tail], b.items[b.count - 1 - tail]))
		tail++;
	add_all(&script, ' ', part(a, 0, head));
	compare(part(a, head, a.count - head - tail), part(b, head, b.count - head - tail), &script);
	add_all(&script, ' ', part(a, a.count - tail, tail));
	str_addf(out, "--- %s\n+++ %s\n", before_name, after_name);
	add_hunks(&script, out);
	return true;
}
