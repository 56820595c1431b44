// franz-go as harness/group.py wants it: create, produce, member.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var background = context.Background()

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	must(err)
	return value
}

func open(bootstrap string, options ...kgo.Opt) *kgo.Client {
	// Longer than a machine stands still.
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(bootstrap), kgo.RequestTimeoutOverhead(time.Minute),
		kgo.RetryTimeout(3*time.Minute))...)
	must(err)
	return client
}

func create(bootstrap, topic string, partitions int) {
	client := open(bootstrap)
	defer client.Close()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, int32(partitions), 1
	request := kmsg.NewCreateTopicsRequest()
	request.TimeoutMillis = 120000
	request.Topics = append(request.Topics, wanted)
	reply, err := request.RequestWith(background, client)
	must(err)
	must(kerr.ErrorForCode(reply.Topics[0].ErrorCode))
}

func produce(bootstrap, topic, codecs string, first, count int) {
	kinds := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	for _, codec := range strings.Split(codecs, ",") {
		client := open(bootstrap, kgo.ProducerBatchCompression(kinds[codec]), kgo.ProducerLinger(5*time.Millisecond),
			kgo.RequiredAcks(kgo.AllISRAcks()))
		for last := first + count; first < last; first++ {
			var value []byte
			if first%1000 != 999 {
				value = []byte(fmt.Sprintf("value-%d-%s", first, strings.Repeat("x", first%97)))
			}
			client.Produce(background, &kgo.Record{
				Topic: topic, Key: []byte(fmt.Sprintf("key-%d", first)), Value: value,
				Headers: []kgo.RecordHeader{
					{Key: "number", Value: []byte(strconv.Itoa(first))},
					{Key: "codec", Value: []byte(codec)},
					{Key: "bytes", Value: []byte{0, 255}},
				},
			}, func(_ *kgo.Record, err error) { must(err) })
		}
		must(client.Flush(background))
		client.Close()
	}
}

func show(record *kgo.Record) string {
	value := "\\N"
	if record.Value != nil {
		value = string(record.Value)
	}
	var headers []string
	for _, header := range record.Headers {
		headers = append(headers, header.Key+"="+hex.EncodeToString(header.Value))
	}
	return fmt.Sprintf("rec\t%d\t%d\t%s\t%s\t%s\n", record.Partition, record.Offset, record.Key, value,
		strings.Join(headers, ";"))
}

func member(bootstrap, topic, group string) {
	ended, stop := context.WithCancel(background)
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		stop()
	}()
	var lock sync.Mutex
	held := map[int32]bool{}
	out := bufio.NewWriter(os.Stdout)
	change := func(partitions []int32, has bool) {
		lock.Lock()
		defer lock.Unlock()
		for _, partition := range partitions {
			if has {
				held[partition] = true
			} else {
				delete(held, partition)
			}
		}
		var list []string
		for partition := range held {
			list = append(list, strconv.Itoa(int(partition)))
		}
		sort.Strings(list)
		fmt.Fprintln(out, "assigned\t"+strings.Join(list, ","))
		out.Flush()
	}
	client := open(bootstrap, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.HeartbeatInterval(300*time.Millisecond), kgo.SessionTimeout(120*time.Second),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, new map[string][]int32) { change(new[topic], true) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, old map[string][]int32) { change(old[topic], false) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, old map[string][]int32) { change(old[topic], false) }))
	for ended.Err() == nil {
		fetches := client.PollFetches(ended)
		lock.Lock()
		fetches.EachRecord(func(record *kgo.Record) { out.WriteString(show(record)) })
		out.Flush()
		lock.Unlock()
		if !fetches.Empty() {
			for try := 0; ; try++ {
				err := client.CommitUncommittedOffsets(background)
				if err == nil {
					break
				}
				if try == 100 {
					must(err)
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
	fmt.Println("bye")
}

func main() {
	words := os.Args[1:]
	switch words[0] {
	case "create":
		create(words[1], words[2], number(words[3]))
	case "produce":
		produce(words[1], words[2], words[3], number(words[4]), number(words[5]))
	case "member":
		member(words[1], words[2], words[3])
	}
}
