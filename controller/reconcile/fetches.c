/* Objects read again; see fetches.h. */
#include "reconcile/fetches.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/rand.h"

#define RETRY_FIRST_MS 500
#define RETRY_MOST_MS 60000

struct fetches {
	struct kube *kube;
	struct loop *loop;
	struct fetches_handler handler;
	void *data;
	struct map all;              /* key -> struct fetch */
};

struct fetch {
	struct fetches *fetches;
	char *key, *path, *group, *kind, *account;
	uint64_t request;            /* 0: it waits to be asked again */
	struct timer *timer;
	int64_t wait_ms;             /* after the last failure */
	bool outdated;
};

static void fetch_free(struct fetch *fetch)
{
	timer_free(fetch->timer);
	free(fetch->key);
	free(fetch->path);
	free(fetch->group);
	free(fetch->kind);
	free(fetch->account);
	free(fetch);
}

static void on_answer(void *data, const struct kube_answer *answer);

static void ask(void *data)
{
	struct fetch *fetch = data;

	fetch->outdated = false;
	/* rbac: reader get (Secrets: as the project's account) */
	fetch->request = kube_get(fetch->fetches->kube, fetch->path, KUBE_JSON, fetch->account, on_answer, fetch);
}

static void ask_later(struct fetch *fetch)
{
	fetch->wait_ms = clock_backoff(fetch->wait_ms, RETRY_FIRST_MS, RETRY_MOST_MS);
	timer_start(fetch->timer, fetch->wait_ms + (int64_t)rand_below((uint64_t)fetch->wait_ms / 2));
}

static bool is_absent(const struct fetch *fetch, const struct kube_answer *answer)
{
	const struct fetches *fetches = fetch->fetches;

	return kube_says_absent(answer) || (answer->err->kind == ERROR_NOT_FOUND && fetches->handler.is_kind_gone(fetches->data, fetch->group, fetch->kind));
}

static void on_answer(void *data, const struct kube_answer *answer)
{
	struct fetch *fetch = data;
	struct fetches *fetches = fetch->fetches;

	fetch->request = 0;
	if (answer->err && !is_absent(fetch, answer)) {
		ask_later(fetch);
		return;
	}
	if (fetch->outdated) {
		ask(fetch);
		return;
	}
	map_remove(&fetches->all, span_of(fetch->key));
	if (answer->err)
		fetches->handler.on_gone(fetches->data, fetch->key);
	else
		fetches->handler.on_found(fetches->data, answer->object, fetch->group, fetch->kind);
	fetch_free(fetch);
}

struct fetches *fetches_new(struct kube *kube, struct loop *loop, const struct fetches_handler *handler, void *data)
{
	struct fetches *fetches = mem_alloc(sizeof(*fetches));

	fetches->kube = kube;
	fetches->loop = loop;
	fetches->handler = *handler;
	fetches->data = data;
	return fetches;
}

void fetches_free(struct fetches *fetches)
{
	if (!fetches)
		return;
	MAP_EACH(entry, &fetches->all) {
		struct fetch *fetch = entry->value;

		if (fetch->request)
			kube_cancel(fetches->kube, fetch->request);
		fetch_free(fetch);
	}
	map_release(&fetches->all);
	free(fetches);
}

void fetches_ask(struct fetches *fetches, const struct fetch_of *of)
{
	struct fetch *fetch = map_get(&fetches->all, span_of(of->key));

	if (fetch) {
		fetch->outdated = true;
		return;
	}
	fetch = mem_alloc(sizeof(*fetch));
	fetch->fetches = fetches;
	fetch->key = mem_strdup(of->key);
	fetch->path = mem_strdup(of->path);
	fetch->group = mem_strdup(of->group);
	fetch->kind = mem_strdup(of->kind);
	fetch->account = of->account ? mem_strdup(of->account) : NULL;
	fetch->timer = timer_new(fetches->loop, ask, fetch);
	map_set(&fetches->all, span_of(fetch->key), fetch);
	ask(fetch);
}

void fetches_outdated(struct fetches *fetches, const char *key)
{
	struct fetch *fetch = map_get(&fetches->all, span_of(key));

	if (fetch)
		fetch->outdated = true;
}
