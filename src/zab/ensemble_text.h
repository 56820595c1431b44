/* The members of an ensemble as text: the lines of zoo.cfg and dynamic configuration files, and
 * what servers tell each other.
 *
 *   server.1=host:2888:3888:participant;0.0.0.0:2181
 *   group.1=1:2:3
 *   weight.1=2
 *   version=100000005
 *
 * Several addresses of one member stand with | between. The version is the zxid of the
 * reconfiguration that made it, in hexadecimal. An IPv6 host stands in brackets.
 *
 * Memory: hosts lend from the text that is parsed. Shard: any.
 */
#ifndef ZAB_ENSEMBLE_TEXT_H
#define ZAB_ENSEMBLE_TEXT_H

#include "zab/ensemble.h"

/* The value of a server line, into a member whose id the caller sets; group and weight get their
 * defaults. NULL, or what was expected, for people. */
MUST_CHECK const char *ensemble_text_parse_server(struct slice value,
                                                  struct ensemble_member *member);

/* The values of a group line and of a weight line, into an ensemble that has all its members. NULL,
 * or what was expected, for people. */
MUST_CHECK const char *ensemble_text_parse_group(struct slice value, int64_t group,
                                                 struct ensemble *ensemble);
MUST_CHECK const char *ensemble_text_parse_weight(struct slice value, int64_t id,
                                                  struct ensemble *ensemble);

/* What is behind "server." and the like, or in myid: a number, 0 or more. False: it is none. */
MUST_CHECK bool ensemble_text_parse_id(struct slice text, int64_t *id);

/* Hexadecimal, as in "version=". False: it is none. */
MUST_CHECK bool ensemble_text_parse_version(struct slice text, int64_t *version);

/* A whole text as servers send it. ERR_MALFORMED; ERR_LIMIT: too many members. */
MUST_CHECK enum err ensemble_text_parse(struct slice text, struct ensemble *ensemble);

/* Writes it, at most capacity bytes; returns its whole size. With out NULL it only counts. */
size_t ensemble_text_print(const struct ensemble *ensemble, char *out, size_t capacity);

#endif
