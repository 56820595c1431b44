// sarama as harness/group.py wants it: create, produce, member.
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

	"github.com/IBM/sarama"
)

// Longer than a machine stands still.
const patient = 120 * time.Second

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

func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_9_0_0
	config.Metadata.Retry.Max = 50
	config.Producer.Retry.Max = 50
	config.Net.DialTimeout, config.Net.ReadTimeout, config.Net.WriteTimeout = patient, patient, patient
	config.Admin.Timeout, config.Producer.Timeout = patient, patient
	return config
}

func create(bootstrap, topic string, partitions int) {
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, settings())
	must(err)
	must(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1}, false))
	must(admin.Close())
}

func produce(bootstrap, topic, codecs string, first, count int) {
	kinds := map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}
	for _, codec := range strings.Split(codecs, ",") {
		config := settings()
		config.Producer.RequiredAcks = sarama.WaitForAll
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
		config.Producer.Compression = kinds[codec]
		config.Producer.Flush.Frequency = 5 * time.Millisecond
		config.Producer.Return.Successes = true
		producer, err := sarama.NewAsyncProducer([]string{bootstrap}, config)
		must(err)
		var done sync.WaitGroup
		done.Add(2)
		go func() {
			defer done.Done()
			for range producer.Successes() {
			}
		}()
		go func() {
			defer done.Done()
			for err := range producer.Errors() {
				log.Fatal(err)
			}
		}()
		for last := first + count; first < last; first++ {
			message := &sarama.ProducerMessage{
				Topic: topic, Key: sarama.StringEncoder(fmt.Sprintf("key-%d", first)),
				Headers: []sarama.RecordHeader{
					{Key: []byte("number"), Value: []byte(strconv.Itoa(first))},
					{Key: []byte("codec"), Value: []byte(codec)},
					{Key: []byte("bytes"), Value: []byte{0, 255}},
				},
			}
			if first%1000 != 999 {
				message.Value = sarama.StringEncoder(fmt.Sprintf("value-%d-%s", first, strings.Repeat("x", first%97)))
			}
			producer.Input() <- message
		}
		producer.AsyncClose()
		done.Wait()
	}
}

type reader struct {
	lock sync.Mutex
	out  *bufio.Writer
}

func (r *reader) Setup(session sarama.ConsumerGroupSession) error {
	var list []string
	for _, partitions := range session.Claims() {
		for _, partition := range partitions {
			list = append(list, strconv.Itoa(int(partition)))
		}
	}
	sort.Strings(list)
	r.write("assigned\t" + strings.Join(list, ",") + "\n")
	return nil
}

func (r *reader) Cleanup(session sarama.ConsumerGroupSession) error {
	session.Commit()
	return nil
}

func (r *reader) write(text string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.out.WriteString(text)
	r.out.Flush()
}

func (r *reader) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			r.write(show(message))
			session.MarkMessage(message, "")
			if len(claim.Messages()) == 0 {
				session.Commit()
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func show(message *sarama.ConsumerMessage) string {
	value := "\\N"
	if message.Value != nil {
		value = string(message.Value)
	}
	var headers []string
	for _, header := range message.Headers {
		headers = append(headers, string(header.Key)+"="+hex.EncodeToString(header.Value))
	}
	return fmt.Sprintf("rec\t%d\t%d\t%s\t%s\t%s\n", message.Partition, message.Offset, message.Key, value,
		strings.Join(headers, ";"))
}

func member(bootstrap, topic, name string) {
	ended, stop := context.WithCancel(context.Background())
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		stop()
	}()
	config := settings()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Consumer.Group.Session.Timeout = patient
	config.Consumer.Group.Rebalance.Retry.Max = 100
	config.Consumer.Group.Rebalance.Retry.Backoff = 200 * time.Millisecond
	group, err := sarama.NewConsumerGroup([]string{bootstrap}, name, config)
	must(err)
	r := &reader{out: bufio.NewWriter(os.Stdout)}
	for ended.Err() == nil {
		if err := group.Consume(ended, []string{topic}, r); err != nil {
			log.Print(err)
			time.Sleep(200 * time.Millisecond)
		}
	}
	must(group.Close())
	r.write("bye\n")
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
