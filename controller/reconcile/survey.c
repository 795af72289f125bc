/* Reads of what may not be there; see survey.h. */
#include "reconcile/survey.h"

#include "api/application.h"
#include "base/clock.h"

#define FRESH_MS 1000
/* a namespace with more objects of others is asked object by object */
#define LIST_MOST "500"
#define CROWDED_MS 60000
#define PLACES_MOST 1024u

/* One read that waits for a list, or for its answer from one. */
struct question {
	struct survey *survey;
	struct question *next, **before;   /* in its place, or among those that are answered soon */
	char *path, *name;
	kube_done *on_done;
	void *data;
};

/* One kind in one namespace. */
struct place {
	struct survey *survey;
	char *path;                   /* of the list; the key too */
	int64_t asked_ms;             /* when it was last asked for an object */
	int64_t listed_ms;            /* when the list that is here, or under way, was asked for; 0: never */
	int64_t crowded_until_ms;
	bool listing;
	struct map names;             /* of what is not managed there; values are of no account */
	struct question *waiting;
};

struct survey {
	struct loop *loop;
	struct kube *kube;
	struct map places;            /* path -> struct place */
	struct question *soon;        /* answered: absent */
};

static void place_free(struct place *place)
{
	map_release(&place->names);
	free(place->path);
	free(place);
}

static void push(struct question **list, struct question *question)
{
	question->next = *list;
	question->before = list;
	if (*list)
		(*list)->before = &question->next;
	*list = question;
}

static void unlink_question(struct question *question)
{
	*question->before = question->next;
	if (question->next)
		question->next->before = question->before;
}

static void question_free(struct question *question)
{
	free(question->path);
	free(question->name);
	free(question);
}

static void get(struct question *question)
{
	/* rbac: reader get */
	kube_get(question->survey->kube, question->path, KUBE_JSON, NULL, question->on_done, question->data);
	question_free(question);
}

static void tell_absent(void *data)
{
	struct survey *survey = data;

	while (survey->soon) {
		struct question *question = survey->soon;
		struct error err = ERROR_INIT;
		struct kube_answer answer = { .status = 404, .retry_after_ms = -1, .err = &err };

		unlink_question(question);
		error_set(&err, ERROR_NOT_FOUND, "NotFound", "%s is not there", question->name);
		question->on_done(question->data, &answer);
		question_free(question);
	}
}

static void absent(struct question *question)
{
	struct survey *survey = question->survey;

	if (!survey->soon)
		loop_defer(survey->loop, tell_absent, survey);
	push(&survey->soon, question);
}

/* From a list that is fresh. */
static void look_up(const struct place *place, struct question *question)
{
	if (map_has(&place->names, span_of(question->name)))
		get(question);
	else
		absent(question);
}

static void take_names(struct place *place, const struct json *items)
{
	map_release(&place->names);
	for (size_t i = 0; i < json_count(items); i++) {
		struct span name = json_text_span(json_path(json_at(items, i), "metadata", "name", NULL));

		if (name.length)
			map_set(&place->names, name, place);
	}
}

static bool is_whole(const struct kube_answer *answer)
{
	struct span more = json_text_span(json_path(answer->object, "metadata", "continue", NULL));
	const struct json *items = json_get(answer->object, "items");

	/* an empty list of metadata has null for items */
	return !answer->err && (json_is(items, JSON_ARRAY) || json_is(items, JSON_NULL)) && !more.length;
}

static void on_listed(void *data, const struct kube_answer *answer)
{
	struct place *place = data;
	bool whole = is_whole(answer);

	place->listing = false;
	if (whole)
		take_names(place, json_get(answer->object, "items"));
	else
		/* too many, or it cannot be had: the single reads say what is wrong */
		place->crowded_until_ms = clock_mono_ms() + CROWDED_MS;
	while (place->waiting) {
		struct question *question = place->waiting;

		unlink_question(question);
		if (whole)
			look_up(place, question);
		else
			get(question);
	}
}

static void list(struct place *place, int64_t now)
{
	CLEANUP(str_release) struct str path = STR_INIT;

	place->listing = true;
	place->listed_ms = now;
	str_addf(&path, "%s?labelSelector=%%21%s&limit=%s", place->path, LABEL_APP, LIST_MOST);
	/* rbac: reader list */
	kube_get(place->survey->kube, str_c(&path), KUBE_METADATA_LIST, NULL, on_listed, place);
}

/* Those that were not asked lately and owe nobody an answer. */
static void make_room(struct survey *survey, int64_t now)
{
	CLEANUP(arena_cleanup) struct arena *arena = NULL;
	struct place **old = NULL;
	size_t count = 0, capacity = 0;

	if (survey->places.count < PLACES_MOST)
		return;
	arena = arena_new(0);
	MAP_EACH(entry, &survey->places) {
		struct place *place = entry->value;

		if (!place->listing && now - place->asked_ms > FRESH_MS)
			*(struct place **)arena_push(arena, &old, &count, &capacity, sizeof(*old)) = place;
	}
	for (size_t i = 0; i < count; i++) {
		map_remove(&survey->places, span_of(old[i]->path));
		place_free(old[i]);
	}
}

static struct place *place_of(struct survey *survey, const char *path, int64_t now)
{
	struct place *place = map_get(&survey->places, span_of(path));

	if (place)
		return place;
	make_room(survey, now);
	place = mem_alloc(sizeof(*place));
	place->survey = survey;
	place->path = mem_strdup(path);
	place->asked_ms = now - FRESH_MS;
	map_set(&survey->places, span_of(path), place);
	return place;
}

/* The first of a place, and the only one for a while, is not worth a list. */
static bool is_worth_a_list(const struct place *place, int64_t now)
{
	return now - place->asked_ms < FRESH_MS && now >= place->crowded_until_ms;
}

static void answer(struct place *place, struct question *question, int64_t now)
{
	bool worth = is_worth_a_list(place, now);

	place->asked_ms = now;
	if (!worth) {
		get(question);
		return;
	}
	if (place->listed_ms && !place->listing && now - place->listed_ms < FRESH_MS) {
		look_up(place, question);
		return;
	}
	push(&place->waiting, question);
	if (!place->listing)
		list(place, now);
}

void survey_read(struct survey *survey, const struct kube_kind *kind, const char *namespace, const char *name, kube_done *on_done,
		 void *data)
{
	CLEANUP(arena_cleanup) struct arena *arena = arena_new(0);
	struct question *question = mem_alloc(sizeof(*question));
	int64_t now = clock_mono_ms();

	*question = (struct question){ .survey = survey, .path = mem_strdup(kube_path(arena, kind, namespace, name)),
				       .name = mem_strdup(name), .on_done = on_done, .data = data };
	answer(place_of(survey, kube_path(arena, kind, namespace, NULL), now), question, now);
}

struct survey *survey_new(struct loop *loop, struct kube *kube)
{
	struct survey *survey = mem_alloc(sizeof(*survey));

	survey->loop = loop;
	survey->kube = kube;
	return survey;
}

static void drop_all(struct question **list)
{
	while (*list) {
		struct question *question = *list;

		unlink_question(question);
		question_free(question);
	}
}

void survey_free(struct survey *survey)
{
	if (!survey)
		return;
	drop_all(&survey->soon);
	MAP_EACH(entry, &survey->places) {
		struct place *place = entry->value;

		drop_all(&place->waiting);
		place_free(place);
	}
	map_release(&survey->places);
	free(survey);
}
