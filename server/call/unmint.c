/* unmint.c - minted keys are deleted at their provider when their session is over: one after the other, again
 * after a pause when that failed, and at every start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/call/mint_list.h"

#define RETRY_MS 30000
#define RETRY_MAX_MS (INT64_C(3600) * 1000)
#define PASSES_MAX 24       /* that fail, until something happens: most of a day */
#define KEYS_MAX ((size_t)20 * OPENROUTER_KEYS_PAGE) /* that are looked through for one */
#define SETTLE_MS 60000     /* a key that was asked for may show up this late */

static void next_step(void *arg);

static void
soon(struct mints *ms)
{
	loop_defer(ms->parts.loop, &ms->step, next_step, ms);
}

/* ---- the end of one ---- */

static void
deletion_clear(struct deletion *d)
{
	management_stop(&d->m);
	management_clear(&d->m);
	provider_free(d->provider);
	*d = (struct deletion){ .id = 0 };
}

static void
forget(struct mints *ms, const char *why)
{
	struct error err = ERROR_INIT;

	log_info("a minted key is gone", LOG_TEXT("provider", ms->deletion.provider->name),
	    LOG_TEXT("why", why));
	if (changes_begin(ms->changes, &err) != 0) {
		ms->failed = true;
		return;
	}
	if (minted_forget(ms->minted, ms->deletion.id, &err) != 0)
		changes_rollback(ms->changes);
	else
		changes_commit(ms->changes, NULL, NULL, why, &err);
}

static void
fail(struct mints *ms, const struct error *err)
{
	log_warn("a minted key cannot be deleted yet; it has an end at the provider",
	    LOG_TEXT("provider", ms->deletion.provider->name),
	    LOG_TEXT("name", minted_find(ms->minted, ms->deletion.id)->name),
	    LOG_TEXT("why", err->message));
	minted_report(ms->minted, ms->deletion.id, error_code(err->code));
	ms->failed = true;
}

/* ---- one question after the other ---- */

static void
on_body(void *arg, struct slice body)
{
	struct mints *ms = arg;
	struct deletion *d = &ms->deletion;

	if (management_status(&d->m) >= 300)
		management_refused(&d->m, body);
	else if (d->listing)
		d->read = openrouter_keys_find(body, minted_find(ms->minted, d->id)->name, d->hash,
		    &d->on_page) == 0;
}

static void on_end(void *arg, const struct failure *failure);
static const struct management_watch watch = { on_body, on_end };

static int
ask(struct mints *ms, struct error *err)
{
	struct deletion *d = &ms->deletion;
	struct wire_request wire;

	d->read = false;
	if (d->listing) {
		openrouter_keys_list(d->offset, &wire);
	} else if (openrouter_keys_delete(d->hash, &wire) != 0) {
		wire_request_clear(&wire);
		return error_set(err, MP_E_TAMPERED, "the hash of a minted key is none");
	}
	return management_ask(&d->m, ms, d->provider, &wire, 0, &watch, ms, err);
}

/* True when there is another question to ask. */
static bool
listed(struct mints *ms)
{
	struct deletion *d = &ms->deletion;

	if (d->hash[0] != '\0') {
		d->listing = false;
		return true;
	}
	d->offset += d->on_page;
	if (d->on_page >= OPENROUTER_KEYS_PAGE && d->offset < KEYS_MAX)
		return true;
	forget(ms, "it was never made");
	return false;
}

/* The answer to a question; true when there is another one. */
static bool
judge(struct mints *ms, const struct failure *failure)
{
	struct deletion *d = &ms->deletion;
	int status = management_status(&d->m);
	bool came = failure == NULL || failure->class == FAILURE_NONE;
	struct error err = ERROR_INIT;

	if (came && d->listing && status < 300 && d->read)
		return listed(ms);
	/* not there any more is what we want */
	if (!d->listing && ((came && status >= 200 && status < 300) || status == 404)) {
		forget(ms, "deleted");
		return false;
	}
	management_story(&d->m, d->provider, failure, "cannot delete a minted key at", &err);
	fail(ms, &err);
	return false;
}

static void
on_end(void *arg, const struct failure *failure)
{
	struct mints *ms = arg;
	struct error err = ERROR_INIT;

	if (judge(ms, failure)) {
		if (ask(ms, &err) == 0)
			return;
		fail(ms, &err);
	}
	/* the carrier is still on the stack: what is asked next begins behind it */
	ms->cursor = ms->deletion.id;
	deletion_clear(&ms->deletion);
	soon(ms);
}

/* ---- which one ---- */

/* Milliseconds until it may be deleted; 0 = now, -1 = not at all as things are. */
static int64_t
due_ms(const struct mints *ms, const struct minted_key *k)
{
	int64_t age = clock_wall_ms() - k->created_ms;

	if (mints_held(ms, k->id) || sessions_find(ms->sessions, k->session_id) != NULL ||
	    providers_find_id(ms->parts.providers, k->provider_id) == NULL)
		return -1;
	/* the question may have been lost on its way back: the key appears late, or not at all */
	if (k->hash[0] == '\0' && age >= 0 && age < SETTLE_MS)
		return SETTLE_MS - age;
	return 0;
}

static void
pause_until(struct mints *ms, int64_t ms_left)
{
	if (!loop_timer_running(ms->timer))
		loop_timer_start(ms->timer, ms_left);
}

/* The pass is over. */
static void
rest(struct mints *ms, int64_t soonest)
{
	int64_t pause = ms->retry_ms > 0 ? ms->retry_ms : RETRY_MS;

	ms->cursor = 0;
	if (soonest > 0)
		pause_until(ms, soonest);
	if (!ms->failed) {
		ms->passes = 0;
		return;
	}
	ms->failed = false;
	for (unsigned i = 0; i < ms->passes && pause < RETRY_MAX_MS; i++)
		pause *= 2;
	if (++ms->passes <= PASSES_MAX)
		pause_until(ms, pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS);
	else
		log_error("minted keys are left at their provider; the next start tries again",
		    LOG_INT("keys", (int64_t)minted_count(ms->minted)));
}

static void
begin(struct mints *ms, const struct minted_key *k)
{
	struct deletion *d = &ms->deletion;
	struct error err = ERROR_INIT;

	deletion_clear(d);
	d->id = k->id;
	d->provider = provider_copy(providers_find_id(ms->parts.providers, k->provider_id));
	d->listing = k->hash[0] == '\0';
	snprintf(d->hash, sizeof d->hash, "%s", k->hash);
	if (ask(ms, &err) == 0)
		return;
	fail(ms, &err);
	ms->cursor = d->id;
	deletion_clear(d);
	soon(ms);
}

static void
next_step(void *arg)
{
	struct mints *ms = arg;
	int64_t soonest = 0;

	if (ms->deletion.id != 0)
		return;
	for (size_t i = 0; i < minted_count(ms->minted); i++) {
		const struct minted_key *k = minted_at(ms->minted, i);
		int64_t due = due_ms(ms, k);

		if (due == 0 && k->id > ms->cursor) {
			begin(ms, k);
			return;
		}
		if (due > 0 && (soonest == 0 || due < soonest))
			soonest = due;
	}
	rest(ms, soonest);
}

void
unmint_begin(struct mints *ms)
{
	if (minted_count(ms->minted) == 0)
		return;
	ms->passes = 0;
	loop_timer_stop(ms->timer);
	soon(ms);
}

void
unmint_stop(struct mints *ms)
{
	loop_defer_cancel(ms->parts.loop, &ms->step);
	deletion_clear(&ms->deletion);
}

void
unmint_on_timer(void *arg)
{
	soon(arg);
}
