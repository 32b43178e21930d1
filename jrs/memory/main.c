#include "common/base/sha256.h"
#include "common/log/log.h"
#include "jrs/kit/jr.h"
#include "jrs/memory/archive/archive.h"
#include "jrs/memory/memory.h"

int main(int argc, char **argv)
{
	struct jr_opts opts;
	struct jr *jr = NULL;
	struct memory *memory = NULL;
	int r;

	archive_prepare_process();
	(void)tr_sha256_load();
	if ((r = jr_opts_parse(&opts, TR_ROLE_MEMORY, argc, argv)) != 0)
		return r < 0 ? tr_exit_code(r) : 0;
	if ((r = jr_open(&jr, &opts)) < 0 || (r = memory_new(&memory, jr)) < 0 || (r = jr_ready(jr)) < 0)
		goto out;
	r = jr_run(jr);
out:
	if (r == TR_ECLOSED) /* told to leave before there was an archive */
		r = 0;
	if (r < 0)
		log_error("leaving reason=\"%s\"", tr_strerror(r));
	memory_free(&memory);
	jr_close(&jr);
	return tr_exit_code(r);
}
