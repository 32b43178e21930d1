/* The order of what was found. Pure. Relevance alone decides; temperature only between equals. */
#ifndef JRS_MEMORY_RECALL_RANK_H
#define JRS_MEMORY_RECALL_RANK_H
#include <stddef.h>
#include <stdint.h>

struct rank_item {
	int64_t memory;
	double match;          /* BM25, larger is better, >= 0 */
	double temperature;    /* breaks ties */
	int64_t superseded_by; /* memory that replaces this one; 0: none */
	double score;          /* filled by rank_order(): 0..1 */
};

#define RANK_SUPERSEDED 0.5 /* what a superseded memory keeps of its score */

/* Fills score and sorts, best first. score = match / the best match among all items: 1 is the best that was found for
 * this question and scores of different questions do not compare. A superseded memory keeps half of it and never stands
 * before the one that replaces it. Equal scores: hotter first, then newer (larger memory) first. */
void rank_order(struct rank_item *v, size_t n);

#endif
