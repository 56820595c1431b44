#include "server/keeper/keeper_config.h"
#include "test/unit_test.h"

struct fixture {
    struct heap heap;
    struct diag diag;
    char text[4096];
    struct keeper_config config;
};

static void collect(struct diag *diag, enum diag_level level, struct slice line)
{
    struct fixture *fixture = CONTAINER_OF(diag, struct fixture, diag);
    const size_t used = strlen(fixture->text);
    (void)level;
    assert_true(used + line.size + 2 < sizeof fixture->text);
    memcpy(fixture->text + used, line.data, line.size);
    fixture->text[used + line.size] = '\n';
}

static enum err load(struct fixture *fixture, const char *text)
{
    *fixture = (struct fixture){.diag.write = collect};
    heap_init(&fixture->heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    return keeper_config_load(&fixture->config, &fixture->heap, &fixture->diag,
                              (struct config_source){"zoo.cfg", slice_from_text(text)});
}

static void test_defaults(void **state)
{
    (void)state;
    struct fixture fixture;
    char path[keeper_folder_bytes_max];
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\n"));
    const struct keeper_config *config = &fixture.config;
    assert_int_equal(2181, config->client_port);
    assert_int_equal(3000, config->tick_ms);
    assert_int_equal(6000, keeper_config_timeout_ms_min(config));
    assert_int_equal(60000, keeper_config_timeout_ms_max(config));
    assert_int_equal(1048575, config->frame_bytes_max);
    assert_true(config->force_sync);
    assert_string_equal("/d/version-2", keeper_config_journal_path(config, path, sizeof path));
    heap_deinit(&fixture.heap);
}

static void test_limits(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\n"));
    assert_int_equal(2 * 1048575, keeper_config_record_bytes_max(&fixture.config));
    assert_int_equal(-1, fixture.config.large_request_bytes_min);
    assert_int_equal(104857600, fixture.config.large_requests_bytes_max);
    assert_true(fixture.config.connection_drop_increase == 0.02);
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\njute.maxbuffer=0x1000\n"
                                            "zookeeper.jute.maxbuffer.extrasize=1\n"));
    assert_int_equal(0x1000 + 1024, keeper_config_record_bytes_max(&fixture.config));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\nautopurge.snapRetainCount=1\n"));
    assert_int_equal(3, fixture.config.purge_retain_count);
    assert_non_null(strstr(fixture.text, "3 are kept, not 1"));
    heap_deinit(&fixture.heap);
}

static void test_whitelist(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\n"));
    assert_true(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("srvr")));
    assert_false(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("ruok")));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\n4lw.commands.whitelist=ruok, mntr\n"));
    assert_true(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("mntr")));
    /* Scripts depend on it, so Apache's server always answers it. */
    assert_true(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("srvr")));
    assert_false(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("isro")));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\n4lw.commands.whitelist=*\n"));
    assert_true(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("wchp")));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\nreadonlymode.enabled=true\n"));
    assert_true(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("isro")));
    heap_deinit(&fixture.heap);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_int_equal(ERR_CONFIG, load(&fixture, "tickTime=2000\n"));
    assert_non_null(strstr(fixture.text, "dataDir is missing"));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_CONFIG, load(&fixture, "dataDir=/d\nsecureClientPort=2281\n"));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\nsecureClientPort=1\nclientPort=2\n"));
    assert_non_null(strstr(fixture.text, "TLS is not served yet"));
    heap_deinit(&fixture.heap);
    /* Apache's server would take it for no: nobody shall believe the opposite. */
    assert_int_equal(ERR_CONFIG, load(&fixture, "dataDir=/d\nskipACL=true\n"));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_CONFIG,
                     load(&fixture, "dataDir=/d\nminSessionTimeout=9000\nmaxSessionTimeout=5000"));
    heap_deinit(&fixture.heap);
}

static void test_metrics_provider(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\n"));
    assert_false(keeper_config_has_prometheus(&fixture.config));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\nmetricsProvider.className=org.apache."
                                            "zookeeper.metrics.prometheus."
                                            "PrometheusMetricsProvider\n"));
    assert_true(keeper_config_has_prometheus(&fixture.config));
    heap_deinit(&fixture.heap);
    /* Apache's server does not start without the class either. */
    assert_int_equal(ERR_CONFIG, load(&fixture, "dataDir=/d\nmetricsProvider.className="
                                                "PrometheusMetricsProvider\n"));
    heap_deinit(&fixture.heap);
}

static void test_auth(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\nenforce.auth.schemes=digest\n"));
    assert_false(keeper_config_enforces_scheme(&fixture.config, SLICE_LITERAL("digest")));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\nenforce.auth.enabled=true\n"
                                            "enforce.auth.schemes=ip , digest\n"));
    assert_true(keeper_config_enforces_scheme(&fixture.config, SLICE_LITERAL("digest")));
    assert_true(keeper_config_enforces_scheme(&fixture.config, SLICE_LITERAL("ip")));
    assert_false(keeper_config_enforces_scheme(&fixture.config, SLICE_LITERAL("world")));
    heap_deinit(&fixture.heap);
    const char *const refused[] = {
        "dataDir=/d\nenforce.auth.enabled=true\n",
        "dataDir=/d\nenforce.auth.enabled=true\nenforce.auth.schemes=digest,sasl\n",
        "dataDir=/d\nsessionRequireClientSASLAuth=true\n",
        ("dataDir=/d\nDigestAuthenticationProvider.enabled=false\nenforce.auth.enabled=true\n"
         "enforce.auth.schemes=digest\n"),
    };
    for (size_t index = 0; index < ARRAY_COUNT(refused); index++) {
        assert_int_equal(ERR_CONFIG, load(&fixture, refused[index]));
        heap_deinit(&fixture.heap);
    }
    assert_int_equal(
        ERR_OK,
        load(&fixture,
             "dataDir=/d\nDigestAuthenticationProvider.enabled=false\nensembleAuthName=a, b\n"
             "authProvider.1=org.apache.zookeeper.server.auth.DigestAuthenticationProvider\n"
             "authProvider.2=org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider\n"
             "authProvider.3=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n"));
    assert_true(fixture.config.digest_enabled);
    assert_true(fixture.config.ensemble_enabled);
    assert_true(keeper_config_has_ensemble(&fixture.config, SLICE_LITERAL("b")));
    assert_false(keeper_config_has_ensemble(&fixture.config, SLICE_LITERAL("c")));
    assert_string_equal(fixture.text,
                        "zoo.cfg:6: authProvider.3: org.apache.zookeeper.server.auth."
                        "SASLAuthenticationProvider is not served here; clients that use its "
                        "scheme get AUTHFAILED\n");
    heap_deinit(&fixture.heap);
}

/* Every key of 3.9.5: those of its parser, and the system properties that its sources read. */
static const char *const apache_keys[] = {
    "4lw.commands.whitelist",
    "DigestAuthenticationProvider.digestAlg",
    "DigestAuthenticationProvider.enabled",
    "DigestAuthenticationProvider.superDigest",
    "IPAuthenticationProvider.usexforwardedfor",
    "SASLAuthenticationProvider.superPassword",
    "X509AuthenticationProvider.superUser",
    "admin.commandURL",
    "admin.enableServer",
    "admin.forceHttps",
    "admin.httpVersion",
    "admin.idleTimeout",
    "admin.needClientAuth",
    "admin.portUnification",
    "admin.rateLimiterIntervalInMS",
    "admin.restore.enabled",
    "admin.serverAddress",
    "admin.serverPort",
    "admin.snapshot.enabled",
    "allowSaslFailedClients",
    "audit.enable",
    "audit.impl.class",
    "authProvider.1",
    "autopurge.purgeInterval",
    "autopurge.snapRetainCount",
    "bitHashCacheSize",
    "client.certReload",
    "client.portUnification",
    "client.secure",
    "clientCnxnSocket",
    "clientPort",
    "clientPortAddress",
    "clientPortListenBacklog",
    "clientTcpKeepAlive",
    "closeSessionTxn.enabled",
    "cnxTimeout",
    "commitLogCount",
    "commitProcessor.maxCommitBatchSize",
    "commitProcessor.maxReadBatchSize",
    "commitProcessor.numWorkerThreads",
    "commitProcessor.shutdownTimeout",
    "connectToLearnerMasterLimit",
    "connection_throttle_decrease_ratio",
    "connection_throttle_drop_decrease",
    "connection_throttle_drop_increase",
    "connection_throttle_fill_count",
    "connection_throttle_fill_time",
    "connection_throttle_freeze_time",
    "connection_throttle_global_session_weight",
    "connection_throttle_local_session_weight",
    "connection_throttle_renew_session_weight",
    "connection_throttle_tokens",
    "connection_throttle_weight_enabled",
    "controllerPort",
    "dataDir",
    "dataLogDir",
    "datadir.autocreate",
    "db.autocreate",
    "digest.enabled",
    "disableAutoWatchReset",
    "dynamicConfigFile",
    "electionAlg",
    "electionPortBindRetry",
    "emulate353TTLNodes",
    "enableEagerACLCheck",
    "enforce.auth.enabled",
    "enforce.auth.schemes",
    "enforceQuota",
    "ensembleAuthName",
    "extendedTypesEnabled",
    "fastleader.maxNotificationInterval",
    "fastleader.minNotificationInterval",
    "fips-mode",
    "flushDelay",
    "follower.nodelay",
    "follower.skipLearnerRequestToNextProcessor",
    "forceSnapshotSync",
    "forceSync",
    "forward_learner_requests_to_commit_processor_disabled",
    "fsync.warningthresholdms",
    "globalOutstandingLimit",
    "group.1",
    "initLimit",
    "intBufferStartingSizeBytes",
    "java.security.auth.login.config",
    "jmx.log4j.disable",
    "jmx.log4j.mbean",
    "jute.maxbuffer",
    "jute.maxbuffer.extrasize",
    "jvm.pause.info-threshold.ms",
    "jvm.pause.monitor",
    "jvm.pause.sleep.time.ms",
    "jvm.pause.warn-threshold.ms",
    "kerberos.canonicalizeHostNames",
    "kerberos.minReLoginTimeMs",
    "kerberos.removeHostFromPrincipal",
    "kerberos.removeRealmFromPrincipal",
    "kinit",
    "largeRequestMaxBytes",
    "largeRequestThreshold",
    "leader.ackLoggingFrequency",
    "leader.closeSocketAsync",
    "leader.maxConcurrentDiffSyncs",
    "leader.maxConcurrentSnapSyncs",
    "leader.maxTimeToWaitForEpoch",
    "leader.nodelay",
    "leaderConnectDelayDuringRetryMs",
    "leaderServes",
    "learner.asyncSending",
    "learner.closeSocketAsync",
    "letAnySaslUserDoX",
    "localSessionsEnabled",
    "localSessionsUpgradingEnabled",
    "maxBatchSize",
    "maxClientCnxns",
    "maxCnxns",
    "maxGetChildrenResponseCacheSize",
    "maxInProcessingDeadWatchers",
    "maxResponseCacheSize",
    "maxSessionTimeout",
    "maxWriteQueuePollTime",
    "messageTracker.BufferSize",
    "messageTracker.Enabled",
    "metricsProvider.className",
    "metricsProvider.exportJvmInfo",
    "metricsProvider.httpHost",
    "metricsProvider.httpPort",
    "metricsProvider.httpsPort",
    "metricsProvider.maxQueueSize",
    "metricsProvider.numWorkerThreads",
    "metricsProvider.ssl.keyStore.location",
    "metricsProvider.ssl.keyStore.password",
    "metricsProvider.ssl.trustStore.location",
    "metricsProvider.ssl.trustStore.password",
    "metricsProvider.workerShutdownTimeoutMs",
    "minSessionTimeout",
    "multiAddress.enabled",
    "multiAddress.reachabilityCheckEnabled",
    "multiAddress.reachabilityCheckTimeoutMs",
    "netty.advancedFlowControl.enabled",
    "netty.server.earlyDropSecureConnectionHandshakes",
    "netty.server.outstandingHandshake.limit",
    "nio.directBufferBytes",
    "nio.numSelectorThreads",
    "nio.numWorkerThreads",
    "nio.sessionlessCnxnTimeout",
    "nio.shutdownTimeout",
    "observer.election.DelayMs",
    "observer.reconnectDelayMs",
    "observer.syncEnabled",
    "observerMaster.sizeLimit",
    "observerMasterPort",
    "pathStats.delay",
    "pathStats.enabled",
    "pathStats.initialDelay",
    "pathStats.maxDepth",
    "pathStats.sampleRate",
    "pathStats.slotCapacity",
    "pathStats.slotDuration",
    "pathStats.topPathMax",
    "peerType",
    "portUnification",
    "preAllocSize",
    "quorum.auth.enableSasl",
    "quorum.auth.kerberos.servicePrincipal",
    "quorum.auth.learner.saslLoginContext",
    "quorum.auth.learnerRequireSasl",
    "quorum.auth.server.saslLoginContext",
    "quorum.auth.serverRequireSasl",
    "quorum.cnxn.threads.size",
    "quorumCnxnTimeoutMs",
    "quorumListenOnAllIPs",
    "readonlymode.enabled",
    "reconfigEnabled",
    "request.timeout",
    "request_stale_connection_check",
    "request_stale_latency_check",
    "request_throttle_drop_stale",
    "request_throttle_max_requests",
    "request_throttle_stall_time",
    "request_throttler.shutdownTimeout",
    "requireKerberosConfig",
    "sasl.client",
    "sasl.client.canonicalize.hostname",
    "sasl.client.username",
    "sasl.clientconfig",
    "sasl.serverconfig",
    "secureClientPort",
    "secureClientPortAddress",
    "security.auth_to_local",
    "serializeLastProcessedZxid.enabled",
    "server.1",
    "serverCnxnFactory",
    "sessionRequireClientSASLAuth",
    "skipACL",
    "snapCount",
    "snapSizeLimitInKb",
    "snapshot.compression.method",
    "snapshot.trust.empty",
    "snapshotSizeFactor",
    "ssl.allowReverseDnsLookup",
    "ssl.authProvider",
    "ssl.ciphersuites",
    "ssl.clientAuth",
    "ssl.clientHostnameVerification",
    "ssl.context.supplier.class",
    "ssl.crl",
    "ssl.enabledProtocols",
    "ssl.handshakeDetectionTimeoutMillis",
    "ssl.hostnameVerification",
    "ssl.keyStore.location",
    "ssl.keyStore.password",
    "ssl.keyStore.passwordPath",
    "ssl.keyStore.type",
    "ssl.ocsp",
    "ssl.protocol",
    "ssl.quorum.allowReverseDnsLookup",
    "ssl.quorum.authProvider",
    "ssl.quorum.ciphersuites",
    "ssl.quorum.clientAuth",
    "ssl.quorum.clientHostnameVerification",
    "ssl.quorum.context.supplier.class",
    "ssl.quorum.crl",
    "ssl.quorum.enabledProtocols",
    "ssl.quorum.handshakeDetectionTimeoutMillis",
    "ssl.quorum.hostnameVerification",
    "ssl.quorum.keyStore.location",
    "ssl.quorum.keyStore.password",
    "ssl.quorum.keyStore.passwordPath",
    "ssl.quorum.keyStore.type",
    "ssl.quorum.ocsp",
    "ssl.quorum.protocol",
    "ssl.quorum.sslProvider",
    "ssl.quorum.trustStore.location",
    "ssl.quorum.trustStore.password",
    "ssl.quorum.trustStore.passwordPath",
    "ssl.quorum.trustStore.type",
    "ssl.sslProvider",
    "ssl.trustStore.location",
    "ssl.trustStore.password",
    "ssl.trustStore.passwordPath",
    "ssl.trustStore.type",
    "sslQuorum",
    "sslQuorumReloadCertFiles",
    "standaloneEnabled",
    "superUser",
    "superUser.1",
    "syncEnabled",
    "syncLimit",
    "tcpKeepAlive",
    "test.allowDiscontinuousProposals",
    "testingonly.initialZxid",
    "throttled_op_wait_time",
    "tickTime",
    "txnLogSizeLimitInKb",
    "watchManagerName",
    "watcherCleanIntervalInSeconds",
    "watcherCleanThreadsNum",
    "watcherCleanThreshold",
    "weight.1",
    "znode.container.checkIntervalMs",
    "znode.container.maxNeverUsedIntervalMs",
    "znode.container.maxPerMinute",
};

static void test_all_keys_are_known(void **state)
{
    (void)state;
    for (size_t index = 0; index < ARRAY_COUNT(apache_keys); index++) {
        char key[128] = "zookeeper.";
        if (config_find(&keeper_config_table, slice_from_text(apache_keys[index])) == NULL)
            fail_msg("the key %s is unknown", apache_keys[index]);
        memcpy(key + 10, apache_keys[index], strlen(apache_keys[index]) + 1);
        assert_non_null(config_find(&keeper_config_table, slice_from_text(key)));
    }
    assert_null(config_find(&keeper_config_table, SLICE_LITERAL("tickTimes")));
    assert_null(config_find(&keeper_config_table, SLICE_LITERAL("zookeeper.")));
}

/* What Apache's own sample file and people's files have in them draws no error. */
static void test_known_keys(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_int_equal(ERR_OK, load(&fixture, "tickTime=2000\ninitLimit=10\nsyncLimit=5\n"
                                            "dataDir=/tmp/zookeeper\nclientPort=2181\n"
                                            "autopurge.snapRetainCount=3\n"
                                            "autopurge.purgeInterval=1\n"
                                            "zookeeper.skipACL=yes\nserver.1=localhost:2888:3888"));
    assert_string_equal("zoo.cfg: there is one server line, so this server stands alone; "
                        "standaloneEnabled=false makes it an ensemble of one\n",
                        fixture.text);
    assert_true(fixture.config.skip_acl);
    heap_deinit(&fixture.heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),           cmocka_unit_test(test_limits),
        cmocka_unit_test(test_whitelist),          cmocka_unit_test(test_auth),
        cmocka_unit_test(test_all_keys_are_known), cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_known_keys),         cmocka_unit_test(test_metrics_provider),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
