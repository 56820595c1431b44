"""kafka-python as harness/group.py wants it: create, produce, member."""

import sys
import threading

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

# Longer than a machine stands still.
PATIENT = {"request_timeout_ms": 100000, "bootstrap_timeout_ms": 100000}


def create(bootstrap, topic, partitions):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap, **PATIENT)
    admin.create_topics([NewTopic(topic, int(partitions), 1)])
    admin.close()


def produce(bootstrap, topic, codecs, first, count):
    number = int(first)
    for codec in codecs.split(","):
        producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5,
                                 compression_type=None if codec == "none" else codec, **PATIENT)
        sent = []
        for _ in range(int(count)):
            value = None if number % 1000 == 999 else (f"value-{number}-" + "x" * (number % 97)).encode()
            headers = [("number", str(number).encode()), ("codec", codec.encode()), ("bytes", b"\x00\xff")]
            sent.append(producer.send(topic, key=f"key-{number}".encode(), value=value, headers=headers))
            number += 1
        producer.flush(120)
        for future in sent:
            future.get(120)
        producer.close()


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        print("assigned\t" + ",".join(str(p.partition) for p in sorted(assigned)), flush=True)


def member(bootstrap, topic, group):
    stopping = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stopping.set()), daemon=True).start()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                             enable_auto_commit=False, heartbeat_interval_ms=300, session_timeout_ms=120000,
                             max_poll_records=2000, **PATIENT)
    consumer.subscribe([topic], listener=Listener())
    while not stopping.is_set():
        batches = consumer.poll(timeout_ms=100)
        for records in batches.values():
            for record in records:
                value = "\\N" if record.value is None else record.value.decode()
                headers = ";".join(f"{name}={data.hex()}" for name, data in record.headers)
                print("rec", record.partition, record.offset, record.key.decode(), value, headers, sep="\t")
        sys.stdout.flush()
        if batches:
            consumer.commit()
    consumer.close()
    print("bye", flush=True)


{"create": create, "produce": produce, "member": member}[sys.argv[1]](*sys.argv[2:])
