"""librdkafka as harness/group.py wants it: create, produce, member."""

import sys
import threading

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic


def create(bootstrap, topic, partitions):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, int(partitions), 1)]).values():
        future.result(120)


def produce(bootstrap, topic, codecs, first, count):
    number, failed = int(first), []
    for codec in codecs.split(","):
        producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True,
                             "compression.type": codec, "linger.ms": 5, "queue.buffering.max.messages": 200000})
        for _ in range(int(count)):
            value = None if number % 1000 == 999 else f"value-{number}-" + "x" * (number % 97)
            headers = [("number", str(number)), ("codec", codec), ("bytes", b"\x00\xff")]
            producer.produce(topic, key=f"key-{number}", value=value, headers=headers,
                             on_delivery=lambda error, message: failed.append(error) if error else None)
            producer.poll(0)
            number += 1
        if producer.flush(120) or failed:
            raise SystemExit(f"not written: {len(producer)} left, {failed[:3]}")


def member(bootstrap, topic, group):
    stopping = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stopping.set()), daemon=True).start()
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "heartbeat.interval.ms": 300, "session.timeout.ms": 120000,
                         "topic.metadata.refresh.interval.ms": 2000})

    def assigned(_, partitions):
        print("assigned\t" + ",".join(str(p.partition) for p in partitions), flush=True)

    consumer.subscribe([topic], on_assign=assigned)
    while not stopping.is_set():
        messages = consumer.consume(1000, timeout=0.1)
        for message in messages:
            if message.error():
                print(message.error(), file=sys.stderr)
                continue
            value = "\\N" if message.value() is None else message.value().decode()
            headers = ";".join(f"{name}={data.hex()}" for name, data in message.headers() or [])
            print("rec", message.partition(), message.offset(), message.key().decode(), value, headers, sep="\t")
        sys.stdout.flush()
        if any(not message.error() for message in messages):
            consumer.commit(asynchronous=False)
    consumer.close()
    print("bye", flush=True)


{"create": create, "produce": produce, "member": member}[sys.argv[1]](*sys.argv[2:])
