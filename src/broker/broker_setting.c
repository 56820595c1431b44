#include "broker/broker_setting.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"

enum { value_size_max = 4096 };

static const struct broker_setting settings[] = {
    {"advertised.listeners", NULL, BROKER_SETTING_STRING, true, false},
    {"alter.config.policy.class.name", NULL, BROKER_SETTING_CLASS, false, false},
    {"alter.config.policy.kraft.compatibility.enable", "false", BROKER_SETTING_BOOLEAN, false,
     false},
    {"alter.log.dirs.replication.quota.window.num", "11", BROKER_SETTING_INT, false, false},
    {"alter.log.dirs.replication.quota.window.size.seconds", "1", BROKER_SETTING_INT, false, false},
    {"authorizer.class.name", "", BROKER_SETTING_STRING, false, false},
    {"auto.create.topics.enable", "true", BROKER_SETTING_BOOLEAN, false, false},
    {"auto.include.jmx.reporter", "true", BROKER_SETTING_BOOLEAN, false, false},
    {"auto.leader.rebalance.enable", "true", BROKER_SETTING_BOOLEAN, false, false},
    {"background.threads", "10", BROKER_SETTING_INT, true, false},
    {"broker.heartbeat.interval.ms", "2000", BROKER_SETTING_INT, false, false},
    {"broker.id", "-1", BROKER_SETTING_INT, false, false},
    {"broker.id.generation.enable", "true", BROKER_SETTING_BOOLEAN, false, false},
    {"broker.rack", NULL, BROKER_SETTING_STRING, false, false},
    {"broker.session.timeout.ms", "9000", BROKER_SETTING_INT, false, false},
    {"client.quota.callback.class", NULL, BROKER_SETTING_CLASS, false, false},
    {"compression.gzip.level", "-1", BROKER_SETTING_INT, true, false},
    {"compression.lz4.level", "9", BROKER_SETTING_INT, true, false},
    {"compression.type", "producer", BROKER_SETTING_STRING, true, false},
    {"compression.zstd.level", "3", BROKER_SETTING_INT, true, false},
    {"connection.failed.authentication.delay.ms", "100", BROKER_SETTING_INT, false, false},
    {"connections.max.idle.ms", "600000", BROKER_SETTING_LONG, false, false},
    {"connections.max.reauth.ms", "0", BROKER_SETTING_LONG, false, false},
    {"control.plane.listener.name", NULL, BROKER_SETTING_STRING, false, false},
    {"controlled.shutdown.enable", "true", BROKER_SETTING_BOOLEAN, false, false},
    {"controlled.shutdown.max.retries", "3", BROKER_SETTING_INT, false, false},
    {"controlled.shutdown.retry.backoff.ms", "5000", BROKER_SETTING_LONG, false, false},
    {"controller.listener.names", NULL, BROKER_SETTING_STRING, false, false},
    {"controller.quorum.append.linger.ms", "25", BROKER_SETTING_INT, false, false},
    {"controller.quorum.bootstrap.servers", "", BROKER_SETTING_LIST, false, false},
    {"controller.quorum.election.backoff.max.ms", "1000", BROKER_SETTING_INT, false, false},
    {"controller.quorum.election.timeout.ms", "1000", BROKER_SETTING_INT, false, false},
    {"controller.quorum.fetch.timeout.ms", "2000", BROKER_SETTING_INT, false, false},
    {"controller.quorum.request.timeout.ms", "2000", BROKER_SETTING_INT, false, false},
    {"controller.quorum.retry.backoff.ms", "20", BROKER_SETTING_INT, false, false},
    {"controller.quorum.voters", "", BROKER_SETTING_LIST, false, false},
    {"controller.quota.window.num", "11", BROKER_SETTING_INT, false, false},
    {"controller.quota.window.size.seconds", "1", BROKER_SETTING_INT, false, false},
    {"controller.socket.timeout.ms", "30000", BROKER_SETTING_INT, false, false},
    {"create.topic.policy.class.name", NULL, BROKER_SETTING_CLASS, false, false},
    {"default.replication.factor", "1", BROKER_SETTING_INT, false, false},
    {"delegation.token.expiry.check.interval.ms", "3600000", BROKER_SETTING_LONG, false, false},
    {"delegation.token.expiry.time.ms", "86400000", BROKER_SETTING_LONG, false, false},
    {"delegation.token.master.key", NULL, BROKER_SETTING_PASSWORD, false, true},
    {"delegation.token.max.lifetime.ms", "604800000", BROKER_SETTING_LONG, false, false},
    {"delegation.token.secret.key", NULL, BROKER_SETTING_PASSWORD, false, true},
    {"delete.records.purgatory.purge.interval.requests", "1", BROKER_SETTING_INT, false, false},
    {"delete.topic.enable", "true", BROKER_SETTING_BOOLEAN, false, false},
    {"early.start.listeners", NULL, BROKER_SETTING_STRING, false, false},
    {"eligible.leader.replicas.enable", "false", BROKER_SETTING_BOOLEAN, false, false},
    {"fetch.max.bytes", "57671680", BROKER_SETTING_INT, false, false},
    {"fetch.purgatory.purge.interval.requests", "1000", BROKER_SETTING_INT, false, false},
    {"group.consumer.assignors",
     "org.apache.kafka.coordinator.group.assignor.UniformAssignor,org.apache.kafka.coordinator."
     "group.assignor.RangeAssignor",
     BROKER_SETTING_LIST, false, false},
    {"group.consumer.heartbeat.interval.ms", "5000", BROKER_SETTING_INT, false, false},
    {"group.consumer.max.heartbeat.interval.ms", "15000", BROKER_SETTING_INT, false, false},
    {"group.consumer.max.session.timeout.ms", "60000", BROKER_SETTING_INT, false, false},
    {"group.consumer.max.size", "2147483647", BROKER_SETTING_INT, false, false},
    {"group.consumer.min.heartbeat.interval.ms", "5000", BROKER_SETTING_INT, false, false},
    {"group.consumer.min.session.timeout.ms", "45000", BROKER_SETTING_INT, false, false},
    {"group.consumer.session.timeout.ms", "45000", BROKER_SETTING_INT, false, false},
    {"group.coordinator.append.linger.ms", "10", BROKER_SETTING_INT, false, false},
    {"group.coordinator.rebalance.protocols", "classic", BROKER_SETTING_LIST, false, false},
    {"group.coordinator.threads", "1", BROKER_SETTING_INT, false, false},
    {"group.initial.rebalance.delay.ms", "3000", BROKER_SETTING_INT, false, false},
    {"group.max.session.timeout.ms", "1800000", BROKER_SETTING_INT, false, false},
    {"group.max.size", "2147483647", BROKER_SETTING_INT, false, false},
    {"group.min.session.timeout.ms", "6000", BROKER_SETTING_INT, false, false},
    {"group.share.delivery.count.limit", "5", BROKER_SETTING_INT, false, false},
    {"group.share.heartbeat.interval.ms", "5000", BROKER_SETTING_INT, false, false},
    {"group.share.max.groups", "10", BROKER_SETTING_SHORT, false, false},
    {"group.share.max.heartbeat.interval.ms", "15000", BROKER_SETTING_INT, false, false},
    {"group.share.max.record.lock.duration.ms", "60000", BROKER_SETTING_INT, false, false},
    {"group.share.max.session.timeout.ms", "60000", BROKER_SETTING_INT, false, false},
    {"group.share.max.size", "200", BROKER_SETTING_SHORT, false, false},
    {"group.share.min.heartbeat.interval.ms", "5000", BROKER_SETTING_INT, false, false},
    {"group.share.min.record.lock.duration.ms", "15000", BROKER_SETTING_INT, false, false},
    {"group.share.min.session.timeout.ms", "45000", BROKER_SETTING_INT, false, false},
    {"group.share.partition.max.record.locks", "200", BROKER_SETTING_INT, false, false},
    {"group.share.record.lock.duration.ms", "30000", BROKER_SETTING_INT, false, false},
    {"group.share.session.timeout.ms", "45000", BROKER_SETTING_INT, false, false},
    {"initial.broker.registration.timeout.ms", "60000", BROKER_SETTING_INT, false, false},
    {"inter.broker.listener.name", NULL, BROKER_SETTING_STRING, false, false},
    {"inter.broker.protocol.version", "3.9-IV0", BROKER_SETTING_STRING, false, false},
    {"kafka.metrics.polling.interval.secs", "10", BROKER_SETTING_INT, false, false},
    {"kafka.metrics.reporters", "", BROKER_SETTING_LIST, false, false},
    {"leader.imbalance.check.interval.seconds", "300", BROKER_SETTING_LONG, false, false},
    {"leader.imbalance.per.broker.percentage", "10", BROKER_SETTING_INT, false, false},
    {"listener.security.protocol.map",
     "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
     BROKER_SETTING_STRING, true, false},
    {"listeners", "PLAINTEXT://:9092", BROKER_SETTING_STRING, true, false},
    {"log.cleaner.backoff.ms", "15000", BROKER_SETTING_LONG, true, false},
    {"log.cleaner.dedupe.buffer.size", "134217728", BROKER_SETTING_LONG, true, false},
    {"log.cleaner.delete.retention.ms", "86400000", BROKER_SETTING_LONG, true, false},
    {"log.cleaner.enable", "true", BROKER_SETTING_BOOLEAN, false, false},
    {"log.cleaner.io.buffer.load.factor", "0.9", BROKER_SETTING_DOUBLE, true, false},
    {"log.cleaner.io.buffer.size", "524288", BROKER_SETTING_INT, true, false},
    {"log.cleaner.io.max.bytes.per.second", "1.7976931348623157E308", BROKER_SETTING_DOUBLE, true,
     false},
    {"log.cleaner.max.compaction.lag.ms", "9223372036854775807", BROKER_SETTING_LONG, true, false},
    {"log.cleaner.min.cleanable.ratio", "0.5", BROKER_SETTING_DOUBLE, true, false},
    {"log.cleaner.min.compaction.lag.ms", "0", BROKER_SETTING_LONG, true, false},
    {"log.cleaner.threads", "1", BROKER_SETTING_INT, true, false},
    {"log.cleanup.policy", "delete", BROKER_SETTING_LIST, true, false},
    {"log.dir", "/tmp/kafka-logs", BROKER_SETTING_STRING, false, false},
    {"log.dir.failure.timeout.ms", "30000", BROKER_SETTING_LONG, false, false},
    {"log.dirs", NULL, BROKER_SETTING_STRING, false, false},
    {"log.flush.interval.messages", "9223372036854775807", BROKER_SETTING_LONG, true, false},
    {"log.flush.interval.ms", NULL, BROKER_SETTING_LONG, true, false},
    {"log.flush.offset.checkpoint.interval.ms", "60000", BROKER_SETTING_INT, false, false},
    {"log.flush.scheduler.interval.ms", "9223372036854775807", BROKER_SETTING_LONG, false, false},
    {"log.flush.start.offset.checkpoint.interval.ms", "60000", BROKER_SETTING_INT, false, false},
    {"log.index.interval.bytes", "4096", BROKER_SETTING_INT, true, false},
    {"log.index.size.max.bytes", "10485760", BROKER_SETTING_INT, true, false},
    {"log.local.retention.bytes", "-2", BROKER_SETTING_LONG, true, false},
    {"log.local.retention.ms", "-2", BROKER_SETTING_LONG, true, false},
    {"log.message.downconversion.enable", "true", BROKER_SETTING_BOOLEAN, true, false},
    {"log.message.format.version", "3.0-IV1", BROKER_SETTING_STRING, false, false},
    {"log.message.timestamp.after.max.ms", "9223372036854775807", BROKER_SETTING_LONG, true, false},
    {"log.message.timestamp.before.max.ms", "9223372036854775807", BROKER_SETTING_LONG, true,
     false},
    {"log.message.timestamp.difference.max.ms", "9223372036854775807", BROKER_SETTING_LONG, true,
     false},
    {"log.message.timestamp.type", "CreateTime", BROKER_SETTING_STRING, true, false},
    {"log.preallocate", "false", BROKER_SETTING_BOOLEAN, true, false},
    {"log.retention.bytes", "-1", BROKER_SETTING_LONG, true, false},
    {"log.retention.check.interval.ms", "300000", BROKER_SETTING_LONG, false, false},
    {"log.retention.hours", "168", BROKER_SETTING_INT, false, false},
    {"log.retention.minutes", NULL, BROKER_SETTING_INT, false, false},
    {"log.retention.ms", NULL, BROKER_SETTING_LONG, true, false},
    {"log.roll.hours", "168", BROKER_SETTING_INT, false, false},
    {"log.roll.jitter.hours", "0", BROKER_SETTING_INT, false, false},
    {"log.roll.jitter.ms", NULL, BROKER_SETTING_LONG, true, false},
    {"log.roll.ms", NULL, BROKER_SETTING_LONG, true, false},
    {"log.segment.bytes", "1073741824", BROKER_SETTING_INT, true, false},
    {"log.segment.delete.delay.ms", "60000", BROKER_SETTING_LONG, true, false},
    {"max.connection.creation.rate", "2147483647", BROKER_SETTING_INT, true, false},
    {"max.connections", "2147483647", BROKER_SETTING_INT, true, false},
    {"max.connections.per.ip", "2147483647", BROKER_SETTING_INT, true, false},
    {"max.connections.per.ip.overrides", "", BROKER_SETTING_STRING, true, false},
    {"max.incremental.fetch.session.cache.slots", "1000", BROKER_SETTING_INT, false, false},
    {"max.request.partition.size.limit", "2000", BROKER_SETTING_INT, false, false},
    {"message.max.bytes", "1048588", BROKER_SETTING_INT, true, false},
    {"metadata.log.dir", NULL, BROKER_SETTING_STRING, false, false},
    {"metadata.log.max.record.bytes.between.snapshots", "20971520", BROKER_SETTING_LONG, false,
     false},
    {"metadata.log.max.snapshot.interval.ms", "3600000", BROKER_SETTING_LONG, false, false},
    {"metadata.log.segment.bytes", "1073741824", BROKER_SETTING_INT, false, false},
    {"metadata.log.segment.ms", "604800000", BROKER_SETTING_LONG, false, false},
    {"metadata.max.idle.interval.ms", "500", BROKER_SETTING_INT, false, false},
    {"metadata.max.retention.bytes", "104857600", BROKER_SETTING_LONG, false, false},
    {"metadata.max.retention.ms", "604800000", BROKER_SETTING_LONG, false, false},
    {"metric.reporters", "", BROKER_SETTING_LIST, true, false},
    {"metrics.num.samples", "2", BROKER_SETTING_INT, false, false},
    {"metrics.recording.level", "INFO", BROKER_SETTING_STRING, false, false},
    {"metrics.sample.window.ms", "30000", BROKER_SETTING_LONG, false, false},
    {"min.insync.replicas", "1", BROKER_SETTING_INT, true, false},
    {"node.id", "-1", BROKER_SETTING_INT, false, false},
    {"num.io.threads", "8", BROKER_SETTING_INT, true, false},
    {"num.network.threads", "3", BROKER_SETTING_INT, true, false},
    {"num.partitions", "1", BROKER_SETTING_INT, false, false},
    {"num.recovery.threads.per.data.dir", "1", BROKER_SETTING_INT, true, false},
    {"num.replica.alter.log.dirs.threads", NULL, BROKER_SETTING_INT, false, false},
    {"num.replica.fetchers", "1", BROKER_SETTING_INT, true, false},
    {"offset.metadata.max.bytes", "4096", BROKER_SETTING_INT, false, false},
    {"offsets.commit.required.acks", "-1", BROKER_SETTING_SHORT, false, false},
    {"offsets.commit.timeout.ms", "5000", BROKER_SETTING_INT, false, false},
    {"offsets.load.buffer.size", "5242880", BROKER_SETTING_INT, false, false},
    {"offsets.retention.check.interval.ms", "600000", BROKER_SETTING_LONG, false, false},
    {"offsets.retention.minutes", "10080", BROKER_SETTING_INT, false, false},
    {"offsets.topic.compression.codec", "0", BROKER_SETTING_INT, false, false},
    {"offsets.topic.num.partitions", "50", BROKER_SETTING_INT, false, false},
    {"offsets.topic.replication.factor", "3", BROKER_SETTING_SHORT, false, false},
    {"offsets.topic.segment.bytes", "104857600", BROKER_SETTING_INT, false, false},
    {"password.encoder.cipher.algorithm", "AES/CBC/PKCS5Padding", BROKER_SETTING_STRING, false,
     false},
    {"password.encoder.iterations", "4096", BROKER_SETTING_INT, false, false},
    {"password.encoder.key.length", "128", BROKER_SETTING_INT, false, false},
    {"password.encoder.keyfactory.algorithm", NULL, BROKER_SETTING_STRING, false, false},
    {"password.encoder.old.secret", NULL, BROKER_SETTING_PASSWORD, false, true},
    {"password.encoder.secret", NULL, BROKER_SETTING_PASSWORD, false, true},
    {"principal.builder.class",
     "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
     BROKER_SETTING_CLASS, true, false},
    {"process.roles", "", BROKER_SETTING_LIST, false, false},
    {"producer.id.expiration.ms", "86400000", BROKER_SETTING_INT, true, false},
    {"producer.purgatory.purge.interval.requests", "1000", BROKER_SETTING_INT, false, false},
    {"queued.max.request.bytes", "-1", BROKER_SETTING_LONG, false, false},
    {"queued.max.requests", "500", BROKER_SETTING_INT, false, false},
    {"quota.window.num", "11", BROKER_SETTING_INT, false, false},
    {"quota.window.size.seconds", "1", BROKER_SETTING_INT, false, false},
    {"remote.fetch.max.wait.ms", "500", BROKER_SETTING_INT, true, false},
    {"remote.log.index.file.cache.total.size.bytes", "1073741824", BROKER_SETTING_LONG, true,
     false},
    {"remote.log.manager.copier.thread.pool.size", "-1", BROKER_SETTING_INT, false, false},
    {"remote.log.manager.copy.max.bytes.per.second", "9223372036854775807", BROKER_SETTING_LONG,
     true, false},
    {"remote.log.manager.copy.quota.window.num", "11", BROKER_SETTING_INT, false, false},
    {"remote.log.manager.copy.quota.window.size.seconds", "1", BROKER_SETTING_INT, false, false},
    {"remote.log.manager.expiration.thread.pool.size", "-1", BROKER_SETTING_INT, false, false},
    {"remote.log.manager.fetch.max.bytes.per.second", "9223372036854775807", BROKER_SETTING_LONG,
     true, false},
    {"remote.log.manager.fetch.quota.window.num", "11", BROKER_SETTING_INT, false, false},
    {"remote.log.manager.fetch.quota.window.size.seconds", "1", BROKER_SETTING_INT, false, false},
    {"remote.log.manager.task.interval.ms", "30000", BROKER_SETTING_LONG, false, false},
    {"remote.log.manager.thread.pool.size", "10", BROKER_SETTING_INT, false, false},
    {"remote.log.metadata.custom.metadata.max.bytes", "128", BROKER_SETTING_INT, false, false},
    {"remote.log.metadata.manager.class.name",
     "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
     BROKER_SETTING_STRING, false, false},
    {"remote.log.metadata.manager.class.path", NULL, BROKER_SETTING_STRING, false, false},
    {"remote.log.metadata.manager.impl.prefix", "rlmm.config.", BROKER_SETTING_STRING, false,
     false},
    {"remote.log.metadata.manager.listener.name", NULL, BROKER_SETTING_STRING, false, false},
    {"remote.log.reader.max.pending.tasks", "100", BROKER_SETTING_INT, false, false},
    {"remote.log.reader.threads", "10", BROKER_SETTING_INT, false, false},
    {"remote.log.storage.manager.class.name", NULL, BROKER_SETTING_STRING, false, false},
    {"remote.log.storage.manager.class.path", NULL, BROKER_SETTING_STRING, false, false},
    {"remote.log.storage.manager.impl.prefix", "rsm.config.", BROKER_SETTING_STRING, false, false},
    {"remote.log.storage.system.enable", "false", BROKER_SETTING_BOOLEAN, false, false},
    {"replica.fetch.backoff.ms", "1000", BROKER_SETTING_INT, false, false},
    {"replica.fetch.max.bytes", "1048576", BROKER_SETTING_INT, false, false},
    {"replica.fetch.min.bytes", "1", BROKER_SETTING_INT, false, false},
    {"replica.fetch.response.max.bytes", "10485760", BROKER_SETTING_INT, false, false},
    {"replica.fetch.wait.max.ms", "500", BROKER_SETTING_INT, false, false},
    {"replica.high.watermark.checkpoint.interval.ms", "5000", BROKER_SETTING_LONG, false, false},
    {"replica.lag.time.max.ms", "30000", BROKER_SETTING_LONG, false, false},
    {"replica.selector.class", NULL, BROKER_SETTING_STRING, false, false},
    {"replica.socket.receive.buffer.bytes", "65536", BROKER_SETTING_INT, false, false},
    {"replica.socket.timeout.ms", "30000", BROKER_SETTING_INT, false, false},
    {"replication.quota.window.num", "11", BROKER_SETTING_INT, false, false},
    {"replication.quota.window.size.seconds", "1", BROKER_SETTING_INT, false, false},
    {"request.timeout.ms", "30000", BROKER_SETTING_INT, false, false},
    {"reserved.broker.max.id", "1000", BROKER_SETTING_INT, false, false},
    {"sasl.client.callback.handler.class", NULL, BROKER_SETTING_CLASS, false, false},
    {"sasl.enabled.mechanisms", "GSSAPI", BROKER_SETTING_LIST, true, false},
    {"sasl.jaas.config", NULL, BROKER_SETTING_PASSWORD, true, true},
    {"sasl.kerberos.kinit.cmd", "/usr/bin/kinit", BROKER_SETTING_STRING, true, false},
    {"sasl.kerberos.min.time.before.relogin", "60000", BROKER_SETTING_LONG, true, false},
    {"sasl.kerberos.principal.to.local.rules", "DEFAULT", BROKER_SETTING_LIST, true, false},
    {"sasl.kerberos.service.name", NULL, BROKER_SETTING_STRING, true, false},
    {"sasl.kerberos.ticket.renew.jitter", "0.05", BROKER_SETTING_DOUBLE, true, false},
    {"sasl.kerberos.ticket.renew.window.factor", "0.8", BROKER_SETTING_DOUBLE, true, false},
    {"sasl.login.callback.handler.class", NULL, BROKER_SETTING_CLASS, false, false},
    {"sasl.login.class", NULL, BROKER_SETTING_CLASS, false, false},
    {"sasl.login.connect.timeout.ms", NULL, BROKER_SETTING_INT, false, false},
    {"sasl.login.read.timeout.ms", NULL, BROKER_SETTING_INT, false, false},
    {"sasl.login.refresh.buffer.seconds", "300", BROKER_SETTING_SHORT, true, false},
    {"sasl.login.refresh.min.period.seconds", "60", BROKER_SETTING_SHORT, true, false},
    {"sasl.login.refresh.window.factor", "0.8", BROKER_SETTING_DOUBLE, true, false},
    {"sasl.login.refresh.window.jitter", "0.05", BROKER_SETTING_DOUBLE, true, false},
    {"sasl.login.retry.backoff.max.ms", "10000", BROKER_SETTING_LONG, false, false},
    {"sasl.login.retry.backoff.ms", "100", BROKER_SETTING_LONG, false, false},
    {"sasl.mechanism.controller.protocol", "GSSAPI", BROKER_SETTING_STRING, false, false},
    {"sasl.mechanism.inter.broker.protocol", "GSSAPI", BROKER_SETTING_STRING, true, false},
    {"sasl.oauthbearer.clock.skew.seconds", "30", BROKER_SETTING_INT, false, false},
    {"sasl.oauthbearer.expected.audience", NULL, BROKER_SETTING_LIST, false, false},
    {"sasl.oauthbearer.expected.issuer", NULL, BROKER_SETTING_STRING, false, false},
    {"sasl.oauthbearer.jwks.endpoint.refresh.ms", "3600000", BROKER_SETTING_LONG, false, false},
    {"sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", "10000", BROKER_SETTING_LONG, false,
     false},
    {"sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", "100", BROKER_SETTING_LONG, false, false},
    {"sasl.oauthbearer.jwks.endpoint.url", NULL, BROKER_SETTING_STRING, false, false},
    {"sasl.oauthbearer.scope.claim.name", "scope", BROKER_SETTING_STRING, false, false},
    {"sasl.oauthbearer.sub.claim.name", "sub", BROKER_SETTING_STRING, false, false},
    {"sasl.oauthbearer.token.endpoint.url", NULL, BROKER_SETTING_STRING, false, false},
    {"sasl.server.callback.handler.class", NULL, BROKER_SETTING_CLASS, false, false},
    {"sasl.server.max.receive.size", "524288", BROKER_SETTING_INT, false, false},
    {"security.inter.broker.protocol", "PLAINTEXT", BROKER_SETTING_STRING, false, false},
    {"security.providers", NULL, BROKER_SETTING_STRING, false, false},
    {"socket.connection.setup.timeout.max.ms", "30000", BROKER_SETTING_LONG, false, false},
    {"socket.connection.setup.timeout.ms", "10000", BROKER_SETTING_LONG, false, false},
    {"socket.listen.backlog.size", "50", BROKER_SETTING_INT, false, false},
    {"socket.receive.buffer.bytes", "102400", BROKER_SETTING_INT, false, false},
    {"socket.request.max.bytes", "104857600", BROKER_SETTING_INT, false, false},
    {"socket.send.buffer.bytes", "102400", BROKER_SETTING_INT, false, false},
    {"ssl.allow.dn.changes", "false", BROKER_SETTING_BOOLEAN, false, false},
    {"ssl.allow.san.changes", "false", BROKER_SETTING_BOOLEAN, false, false},
    {"ssl.cipher.suites", "", BROKER_SETTING_LIST, true, false},
    {"ssl.client.auth", "none", BROKER_SETTING_STRING, true, false},
    {"ssl.enabled.protocols", "TLSv1.2,TLSv1.3", BROKER_SETTING_LIST, true, false},
    {"ssl.endpoint.identification.algorithm", "https", BROKER_SETTING_STRING, true, false},
    {"ssl.engine.factory.class", NULL, BROKER_SETTING_CLASS, true, false},
    {"ssl.key.password", NULL, BROKER_SETTING_PASSWORD, true, true},
    {"ssl.keymanager.algorithm", "SunX509", BROKER_SETTING_STRING, true, false},
    {"ssl.keystore.certificate.chain", NULL, BROKER_SETTING_PASSWORD, true, true},
    {"ssl.keystore.key", NULL, BROKER_SETTING_PASSWORD, true, true},
    {"ssl.keystore.location", NULL, BROKER_SETTING_STRING, true, false},
    {"ssl.keystore.password", NULL, BROKER_SETTING_PASSWORD, true, true},
    {"ssl.keystore.type", "JKS", BROKER_SETTING_STRING, true, false},
    {"ssl.principal.mapping.rules", "DEFAULT", BROKER_SETTING_STRING, false, false},
    {"ssl.protocol", "TLSv1.3", BROKER_SETTING_STRING, true, false},
    {"ssl.provider", NULL, BROKER_SETTING_STRING, true, false},
    {"ssl.secure.random.implementation", NULL, BROKER_SETTING_STRING, true, false},
    {"ssl.trustmanager.algorithm", "PKIX", BROKER_SETTING_STRING, true, false},
    {"ssl.truststore.certificates", NULL, BROKER_SETTING_PASSWORD, true, true},
    {"ssl.truststore.location", NULL, BROKER_SETTING_STRING, true, false},
    {"ssl.truststore.password", NULL, BROKER_SETTING_PASSWORD, true, true},
    {"ssl.truststore.type", "JKS", BROKER_SETTING_STRING, true, false},
    {"telemetry.max.bytes", "1048576", BROKER_SETTING_INT, false, false},
    {"transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000", BROKER_SETTING_INT,
     false, false},
    {"transaction.max.timeout.ms", "900000", BROKER_SETTING_INT, false, false},
    {"transaction.partition.verification.enable", "true", BROKER_SETTING_BOOLEAN, true, false},
    {"transaction.remove.expired.transaction.cleanup.interval.ms", "3600000", BROKER_SETTING_INT,
     false, false},
    {"transaction.state.log.load.buffer.size", "5242880", BROKER_SETTING_INT, false, false},
    {"transaction.state.log.min.isr", "2", BROKER_SETTING_INT, false, false},
    {"transaction.state.log.num.partitions", "50", BROKER_SETTING_INT, false, false},
    {"transaction.state.log.replication.factor", "3", BROKER_SETTING_SHORT, false, false},
    {"transaction.state.log.segment.bytes", "104857600", BROKER_SETTING_INT, false, false},
    {"transactional.id.expiration.ms", "604800000", BROKER_SETTING_INT, false, false},
    {"unclean.leader.election.enable", "false", BROKER_SETTING_BOOLEAN, true, false},
    {"zookeeper.clientCnxnSocket", NULL, BROKER_SETTING_STRING, false, false},
    {"zookeeper.connect", NULL, BROKER_SETTING_STRING, false, false},
    {"zookeeper.connection.timeout.ms", NULL, BROKER_SETTING_INT, false, false},
    {"zookeeper.max.in.flight.requests", "10", BROKER_SETTING_INT, false, false},
    {"zookeeper.metadata.migration.enable", "false", BROKER_SETTING_BOOLEAN, false, false},
    {"zookeeper.session.timeout.ms", "18000", BROKER_SETTING_INT, false, false},
    {"zookeeper.set.acl", "false", BROKER_SETTING_BOOLEAN, false, false},
    {"zookeeper.ssl.cipher.suites", NULL, BROKER_SETTING_LIST, false, false},
    {"zookeeper.ssl.client.enable", "false", BROKER_SETTING_BOOLEAN, false, false},
    {"zookeeper.ssl.crl.enable", "false", BROKER_SETTING_BOOLEAN, false, false},
    {"zookeeper.ssl.enabled.protocols", NULL, BROKER_SETTING_LIST, false, false},
    {"zookeeper.ssl.endpoint.identification.algorithm", "HTTPS", BROKER_SETTING_STRING, false,
     false},
    {"zookeeper.ssl.keystore.location", NULL, BROKER_SETTING_STRING, false, false},
    {"zookeeper.ssl.keystore.password", NULL, BROKER_SETTING_PASSWORD, false, true},
    {"zookeeper.ssl.keystore.type", NULL, BROKER_SETTING_STRING, false, false},
    {"zookeeper.ssl.ocsp.enable", "false", BROKER_SETTING_BOOLEAN, false, false},
    {"zookeeper.ssl.protocol", "TLSv1.2", BROKER_SETTING_STRING, false, false},
    {"zookeeper.ssl.truststore.location", NULL, BROKER_SETTING_STRING, false, false},
    {"zookeeper.ssl.truststore.password", NULL, BROKER_SETTING_PASSWORD, false, true},
    {"zookeeper.ssl.truststore.type", NULL, BROKER_SETTING_STRING, false, false},
};

const uint32_t broker_setting_count = ARRAY_COUNT(settings);

const struct broker_setting *broker_setting_at(uint32_t index)
{
    assert(index < ARRAY_COUNT(settings));
    return &settings[index];
}

const struct broker_setting *broker_setting_find(struct slice name)
{
    size_t low = 0;
    size_t high = ARRAY_COUNT(settings);
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = slice_compare(name, slice_from_text(settings[middle].name));
        if (order == 0)
            return &settings[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static bool is_integer(const char *text, long long min, long long max)
{
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && number >= min && number <= max;
}

static bool is_double(const char *text)
{
    char *end;
    (void)strtod(text, &end);
    return end != text && *end == '\0';
}

static bool is_fitting(enum broker_setting_type type, const char *text)
{
    switch (type) {
    case BROKER_SETTING_BOOLEAN:
        return strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0;
    case BROKER_SETTING_INT: return is_integer(text, INT32_MIN, INT32_MAX);
    case BROKER_SETTING_SHORT: return is_integer(text, INT16_MIN, INT16_MAX);
    case BROKER_SETTING_LONG: return is_integer(text, INT64_MIN, INT64_MAX);
    case BROKER_SETTING_DOUBLE: return is_double(text);
    case BROKER_SETTING_STRING:
    case BROKER_SETTING_LIST:
    case BROKER_SETTING_CLASS:
    case BROKER_SETTING_PASSWORD: return true;
    }
    return false;
}

bool broker_setting_check(const struct broker_setting *setting, struct slice value, char *reason,
                          size_t reason_size)
{
    char text[value_size_max + 1];
    if (value.data != NULL && value.size <= value_size_max) {
        memcpy(text, value.data, value.size);
        text[value.size] = '\0';
        if (is_fitting(setting->type, text))
            return true;
    }
    snprintf(reason, reason_size, "Invalid value for configuration %s: not of its type",
             setting->name);
    return false;
}
