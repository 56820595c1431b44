/* The members of the ensemble that zoo.cfg or its dynamicConfigFile names, and which of them this
 * server is.
 *
 *   zoo.cfg --------> keeper_config_load --> ensemble_config_check
 *   dynamic file, dataDir/myid ------------> ensemble_config_load, when there is an io
 *
 * The rules are Apache's: one voter stands alone unless standaloneEnabled=false; two, and even
 * numbers, draw a warning; a client port in the own server line wins over none in zoo.cfg. What
 * could not work although Apache's server would start (one address of two members, an id twice) is
 * an error here. Each error names file, line and key, what was expected and what to do.
 *
 * Memory: texts from the heap given. Shard: none.
 */
#ifndef SERVER_KEEPER_ENSEMBLE_CONFIG_H
#define SERVER_KEEPER_ENSEMBLE_CONFIG_H

#include "server/keeper/keeper_config.h"

enum ensemble_port { ENSEMBLE_PORT_QUORUM, ENSEMBLE_PORT_ELECTION };

/* What zoo.cfg says: sets ensemble, members_file, is_ensemble, unless there is a dynamicConfigFile.
 * Called by keeper_config_load. ERR_CONFIG: diag has the reasons. */
MUST_CHECK enum err ensemble_config_check(struct keeper_config *config, struct diag *diag);

/* The rest: reads dynamicConfigFile and dataDir/myid, sets self_id and, where the own server line
 * has one, the client port. Waits for the disk, so at start only; other members' hosts are not
 * resolved. ERR_CONFIG: diag has the reasons; ERR_NO_MEMORY. */
MUST_CHECK enum err ensemble_config_load(struct keeper_config *config, struct io *io,
                                         struct heap *heap, struct diag *diag);

/* Gives back to heap what ensemble_config_load took from it; config is of no use any more. */
void ensemble_config_unload(struct keeper_config *config, struct heap *heap);

/* The own member. NULL: this server stands alone, or has no line. Lends from config. */
const struct ensemble_member *ensemble_config_self(const struct keeper_config *config);

/* The host on which a member listens for the others; on which it listens for clients, from how it
 * is written. Empty: all addresses. */
struct slice ensemble_config_host(const struct keeper_config *config,
                                  const struct ensemble_member *self);
struct slice ensemble_config_client_host(struct slice host);

/* Where self, whose line may have changed since the start, listens for the others. Waits for the
 * resolver. ERR_NOT_FOUND: the own host is unknown, which diag tells. */
MUST_CHECK enum err ensemble_config_address(const struct keeper_config *config,
                                            const struct ensemble_member *self, struct io *io,
                                            struct diag *diag, enum ensemble_port port,
                                            struct io_address *address);

/* Tells people that listening there failed, and what to do. */
void ensemble_config_tell_busy(const struct keeper_config *config,
                               const struct ensemble_member *self, struct diag *diag,
                               enum ensemble_port port, enum err err);

#endif
