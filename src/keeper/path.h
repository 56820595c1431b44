/* What a path of a znode looks like. */
#ifndef KEEPER_PATH_H
#define KEEPER_PATH_H

#include "base/slice.h"

/* Digits after the name of a sequential znode, and a sign. */
enum { path_sequence_bytes_max = 11 };

/* Whether it may name a znode: absolute, no empty component, none of "." and "..", none of the
 * characters that ZooKeeper refuses, and sound UTF-8. */
bool path_is_valid(struct slice path);

/* Whether it is absolute and has no empty component: what servers with other rules for characters
 * may have written. */
bool path_is_sound(struct slice path);

/* "/a" of "/a/b", "/" of "/a": what is before the last slash, which path has. Lends its bytes. */
struct slice path_parent(struct slice path);

/* "b" of "/a/b": what is behind the last slash, which path has. Lends its bytes. */
struct slice path_last(struct slice path);

/* Whether path is parent itself or one of its descendants. */
bool path_is_under(struct slice path, struct slice parent);

#endif
