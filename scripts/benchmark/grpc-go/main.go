// The load client of the gRPC benchmark: publishes with many callers or drains a Fetch stream, and prints one JSON
// line of figures. Messages are written and read by hand, so that the client's own cost is small beside the server's.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
)

// rawCodec passes messages that are encoded already.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) { return *(v.(*[]byte)), nil }
func (rawCodec) Unmarshal(data []byte, v any) error {
	*(v.(*[]byte)) = data
	return nil
}
func (rawCodec) Name() string { return "proto" }

var _ encoding.Codec = rawCodec{}

func field(out []byte, number int, value []byte) []byte {
	out = binary.AppendUvarint(out, uint64(number<<3|2))
	out = binary.AppendUvarint(out, uint64(len(value)))
	return append(out, value...)
}

func number(out []byte, field int, value uint64) []byte {
	out = binary.AppendUvarint(out, uint64(field<<3))
	return binary.AppendUvarint(out, value)
}

type figures struct {
	Mode       string  `json:"mode"`
	Messages   int64   `json:"messages"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	P50Ms      float64 `json:"p50_ms,omitempty"`
	P99Ms      float64 `json:"p99_ms,omitempty"`
	Failures   int64   `json:"failures"`
	FirstError string  `json:"first_error,omitempty"`
}

func main() {
	address := flag.String("address", "127.0.0.1:50051", "server")
	mode := flag.String("mode", "publish", "publish or fetch")
	callers := flag.Int("callers", 64, "concurrent callers")
	connections := flag.Int("connections", 1, "connections the callers share")
	size := flag.Int("size", 1024, "bytes of a body")
	seconds := flag.Float64("seconds", 5, "how long to publish")
	count := flag.Int("count", 50000, "messages to fetch")
	batch := flag.Int("batch", 1000, "batch_size of a Fetch")
	subject := flag.String("subject", "bench", "subject")
	durable := flag.String("durable", "bench", "durable name")
	flag.Parse()

	conns := make([]*grpc.ClientConn, *connections)
	for i := range conns {
		conn, err := grpc.NewClient(*address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{}), grpc.MaxCallRecvMsgSize(1<<30)))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		conns[i] = conn
	}
	var result figures
	switch *mode {
	case "publish":
		result = publish(conns, *callers, *size, *seconds, *subject)
	case "fetch":
		result = fetch(conns[0], *count, *batch, *subject, *durable)
	}
	result.Mode = *mode
	_ = json.NewEncoder(os.Stdout).Encode(result)
	if result.Failures > 0 {
		os.Exit(1)
	}
}

func publish(conns []*grpc.ClientConn, callers, size int, seconds float64, subject string) figures {
	var request []byte
	request = field(request, 1, []byte(subject))
	request = field(request, 2, make([]byte, size))
	var done, failures atomic.Int64
	var firstError atomic.Value
	latencies := make([][]float64, callers)
	var group sync.WaitGroup
	start := time.Now()
	end := start.Add(time.Duration(seconds * float64(time.Second)))
	for caller := range callers {
		group.Add(1)
		go func() {
			defer group.Done()
			conn := conns[caller%len(conns)]
			for time.Now().Before(end) {
				began := time.Now()
				var reply []byte
				err := conn.Invoke(context.Background(), "/minitoolstream.IngressService/Publish", &request, &reply)
				if err != nil {
					failures.Add(1)
					firstError.CompareAndSwap(nil, err.Error())
					return
				}
				latencies[caller] = append(latencies[caller], float64(time.Since(began).Microseconds())/1000)
				done.Add(1)
			}
		}()
	}
	group.Wait()
	elapsed := time.Since(start).Seconds()
	var all []float64
	for _, list := range latencies {
		all = append(all, list...)
	}
	sort.Float64s(all)
	result := figures{Messages: done.Load(), Seconds: elapsed, PerSecond: float64(done.Load()) / elapsed, Failures: failures.Load()}
	if len(all) > 0 {
		result.P50Ms = all[len(all)/2]
		result.P99Ms = all[len(all)*99/100]
	}
	if message, ok := firstError.Load().(string); ok {
		result.FirstError = message
	}
	return result
}

// sequenceOf finds field 2 of a Message.
func sequenceOf(message []byte) uint64 {
	for at := 0; at < len(message); {
		key, n := binary.Uvarint(message[at:])
		at += n
		value, n := binary.Uvarint(message[at:])
		at += n
		if key == 2<<3 {
			return value
		}
		if key&7 == 2 {
			at += int(value)
		}
	}
	return 0
}

// fetch drains a subject batch by batch, with an AckMessage after each.
func fetch(conn *grpc.ClientConn, count, batch int, subject, durable string) figures {
	var request []byte
	request = field(request, 1, []byte(subject))
	request = field(request, 2, []byte(durable))
	request = number(request, 3, uint64(batch))
	var received int64
	var last uint64
	start := time.Now()
	for received < int64(count) {
		stream, err := conn.NewStream(context.Background(), &grpc.StreamDesc{ServerStreams: true}, "/minitoolstream.EgressService/Fetch")
		if err == nil {
			err = stream.SendMsg(&request)
		}
		if err == nil {
			err = stream.CloseSend()
		}
		got := 0
		for err == nil {
			var message []byte
			if err = stream.RecvMsg(&message); err == nil {
				got++
				sequence := sequenceOf(message)
				if sequence != last+1 {
					err = fmt.Errorf("sequence %d after %d", sequence, last)
				}
				last = sequence
			}
		}
		if err != io.EOF {
			return figures{Failures: 1, FirstError: err.Error()}
		}
		if got == 0 {
			break
		}
		received += int64(got)
		var ack []byte
		ack = field(ack, 1, []byte(durable))
		ack = field(ack, 2, []byte(subject))
		ack = number(ack, 3, last)
		var reply []byte
		if err := conn.Invoke(context.Background(), "/minitoolstream.EgressService/AckMessage", &ack, &reply); err != nil {
			return figures{Failures: 1, FirstError: err.Error()}
		}
	}
	elapsed := time.Since(start).Seconds()
	return figures{Messages: received, Seconds: elapsed, PerSecond: float64(received) / elapsed}
}
