/* Which sacred memories speak to a proposal. A recall shows the best few that it finds: whoever writes enough memories
 * that are as good would hide them, so here each is looked at. */
#include "jrs/memory/archive/internal.h"
#include "jrs/vote/stance.h"

#define CONTENT   2   /* of MEMORY_COLUMNS */
#define SHOWN     200 /* more say no better what is sacred */
#define LOOK_ROWS 64  /* between two looks at the clock */

int read_sacred(struct sql_archive *a, struct job *j)
{
	const struct msg_memory_sacred *msg = j->msg;
	struct res_memory_sacred *res = job_alloc(j, sizeof(*res));
	struct item_memory *v = job_alloc(j, sizeof(*v) * SHOWN);
	struct archive_hit *hits = job_alloc(j, sizeof(*hits) * SHOWN);
	struct stance_proposal proposal;
	struct stance_said said;
	size_t bytes = 0;
	uint32_t n = 0, rows = 0;
	struct query q;
	wire_str text;
	int r;

	if (res == NULL || v == NULL || hits == NULL)
		return TR_ENOMEM;
	if ((r = j->db->driver->look(j->db)) < 0)
		return r;
	stance_proposal(&proposal, msg->proposal, &msg->terms);
	stance_said(&said, msg->proposal);
	q = q_begin(j->db, SQL_SACRED);
	while (n < SHOWN && bytes < ANSWER_BYTES_MAX && (r = q_row(&q)) == 1) {
		if (++rows % LOOK_ROWS == 0 && job_late(j)) {
			r = TR_EDEADLINE;
			break;
		}
		text = (wire_str){q_get(&q, CONTENT), (uint32_t)q_len(&q, CONTENT)};
		if (!stance_of(&proposal, text).speaks && !stance_contradicts(&said, text))
			continue;
		bytes += row_bytes(&q);
		if ((r = row_memory(a, j, &q, a->wall_ms(), &v[n], &hits[n])) < 0)
			break;
		n++;
	}
	q_end(&q);
	res->memories = (struct list_memory){v, n};
	j->answer.res = res;
	return r < 0 ? r : 0;
}
