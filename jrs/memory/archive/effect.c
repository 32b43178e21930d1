/* Which effect a call has, and that it has it once. */
#include "jrs/memory/archive/internal.h"

static int carry_out(struct sql_archive *a, struct job *j)
{
	switch (j->id) {
	case MSG_memory_add:
		return write_add(a, j);
	case MSG_memory_decide:
		return write_decide(a, j);
	case MSG_memory_patch:
		return write_patch(a, j);
	case MSG_memory_forget:
		return write_forget(a, j);
	case MSG_memory_restore:
		return write_restore(a, j);
	case MSG_memory_import_begin:
		return write_import_begin(a, j);
	case MSG_memory_import_undo:
		return write_import_undo(a, j);
	case MSG_memory_token_create:
		return write_token_create(a, j);
	case MSG_memory_token_rotate:
		return write_token_rotate(a, j);
	case MSG_memory_token_revoke:
		return write_token_revoke(a, j);
	case MSG_memory_govern:
		return write_govern(a, j);
	case MSG_memory_carry_out:
		return write_carry_out(a, j);
	case MSG_memory_vote_open:
		return write_vote_open(a, j);
	case MSG_memory_vote_cast:
		return write_vote_cast(a, j);
	case MSG_memory_vote_close:
		return write_vote_close(a, j);
	default: /* lane_of() lets no other through */
		return TR_EMETHOD;
	}
}

int write_effect(struct sql_archive *a, struct job *j)
{
	unsigned char fingerprint[TR_SHA256_LEN];
	int r = guard_passed(a, j) ? request_replay(a, j, fingerprint) : TR_EINTERNAL;

	if (r != 0)
		return r < 0 ? r : 0;
	if ((r = carry_out(a, j)) < 0)
		return r;
	j->answer.fresh = true;
	return request_store(a, j, fingerprint);
}
