/* Whether a reply is the one that the model would give: code and body, to the byte.
 *
 * Memory: an arena of its own. Shard: the simulator's thread.
 */
#ifndef SIM_KEEPER_ANSWER_H
#define SIM_KEEPER_ANSWER_H

#include "sim/keeper_history.h"
#include "sim/keeper_model.h"

enum { keeper_answer_why_bytes = 200 };

/* type is the request's. False: why says what is different. */
bool keeper_answer_is_write(const struct history_frame *frame, int32_t type,
                            const struct model_answers *answers, char why[keeper_answer_why_bytes]);
bool keeper_answer_is_read(const struct history_frame *frame, const struct model_answer *answer,
                           char why[keeper_answer_why_bytes]);

/* One result of a multi, or of a multi_read; moves body behind it. */
bool keeper_answer_is_part(struct slice *body, const struct model_answer *answer,
                           char why[keeper_answer_why_bytes]);

/* The mark behind the results of a multi. */
bool keeper_answer_is_end(struct slice body, char why[keeper_answer_why_bytes]);

/* who_am_i: each identity once, without secrets. */
bool keeper_answer_is_ids(const struct history_frame *frame, const struct model_ids *ids,
                          char why[keeper_answer_why_bytes]);

#endif
