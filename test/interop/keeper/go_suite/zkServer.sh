#!/bin/sh
# zkServer.sh start-foreground CONFIG, with the server under test: the flags of the JVM become keys of the file.
set -eu
config=$2.ours
{
    cat "$2"
    echo clientPortAddress=127.0.0.1
    for flag in $SERVER_JVMFLAGS; do
        echo "${flag#-Dzookeeper.}"
    done
} >"$config"
exec "$INTEROP_SERVER" keeper "$config"
