"""One partition by librdkafka.

    one_partition.py produce BOOTSTRAP TOPIC ACKS VALUE..
        writes each to partition 0, without a second try; `offset N` or `error NAME` for each
    one_partition.py watch BOOTSTRAP TOPIC RACK
        reads partition 0 from its beginning; `read OFFSET VALUE BROKER` for each, with the broker that it fetches from now
"""

import json
import sys

from confluent_kafka import Consumer, Producer, TopicPartition


def produce(bootstrap, topic, acks, *values):
    producer = Producer({"bootstrap.servers": bootstrap, "acks": acks, "retries": 0, "request.timeout.ms": 120000, "message.timeout.ms": 240000})

    def told(error, message):
        print(f"error {error.name()}" if error else f"offset {message.offset()}", flush=True)

    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=told)
        producer.flush()


def watch(bootstrap, topic, rack):
    fetched = {}

    def stats(text):
        for part in json.loads(text)["topics"].get(topic, {}).get("partitions", {}).values():
            if part["partition"] == 0:
                fetched["from"] = part["broker"]

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "watch", "client.rack": rack, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "fetch.wait.max.ms": 100, "statistics.interval.ms": 100, "stats_cb": stats,
                         "topic.metadata.refresh.interval.ms": 2000})
    consumer.assign([TopicPartition(topic, 0, 0)])
    print("watching", flush=True)
    while True:
        message = consumer.poll(0.1)
        if message is not None and not message.error():
            print("read", message.offset(), message.value().decode(), fetched.get("from", -1), flush=True)


{"produce": produce, "watch": watch}[sys.argv[1]](*sys.argv[2:])
