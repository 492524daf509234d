package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "minitoolstream.invalid/testing/grpc/stubs"
)

type channel struct {
	conn    *grpc.ClientConn
	ingress pb.IngressServiceClient
	egress  pb.EgressServiceClient
}

var (
	guard    sync.Mutex
	channels = map[string]*channel{}
	streams  = map[string]context.CancelFunc{}
	held     = map[string]chan struct{}{}
)

func openChannel(c *command) (answer, error) {
	secured := insecure.NewCredentials()
	if c.Roots != "" {
		var err error
		if secured, err = credentials.NewClientTLSFromFile(c.Roots, ""); err != nil {
			return nil, err
		}
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(secured)}
	if c.ReceiveBytesMax != nil {
		options = append(options, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(*c.ReceiveBytesMax)))
	}
	if c.Compress {
		options = append(options, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	conn, err := grpc.NewClient(c.Target, options...)
	if err != nil {
		return nil, err
	}
	guard.Lock()
	defer guard.Unlock()
	channels[c.Channel] = &channel{conn, pb.NewIngressServiceClient(conn), pb.NewEgressServiceClient(conn)}
	return answer{}, nil
}

func closeChannel(c *command) (answer, error) {
	guard.Lock()
	defer guard.Unlock()
	err := channels[c.Channel].conn.Close()
	delete(channels, c.Channel)
	return answer{}, err
}

func (c *command) open() *channel {
	guard.Lock()
	defer guard.Unlock()
	return channels[c.Channel]
}

// The context of one call, with the metadata and the deadline of the command.
func (c *command) context() (context.Context, context.CancelFunc) {
	ctx := metadata.NewOutgoingContext(context.Background(), metadata.New(c.Metadata))
	if c.DeadlineMs > 0 {
		return context.WithTimeout(ctx, time.Duration(c.DeadlineMs)*time.Millisecond)
	}
	return context.WithCancel(ctx)
}

// Bytes as given, or size bytes of a pattern that begins at seed.
func (c *command) body() ([]byte, error) {
	if c.DataBase64 != nil {
		return base64.StdEncoding.DecodeString(*c.DataBase64)
	}
	bytes := make([]byte, c.Size)
	for i := range bytes {
		bytes[i] = byte((i + c.Seed) % 251)
	}
	return bytes, nil
}

// The names of codes as the specification writes them.
func codeName(code codes.Code) string {
	name := ""
	for i, letter := range code.String() {
		if i > 0 && letter >= 'A' && letter <= 'Z' && code != codes.OK {
			name += "_"
		}
		name += strings.ToUpper(string(letter))
	}
	if code == codes.Canceled {
		return "CANCELLED"
	}
	return name
}

func plain(md metadata.MD) map[string]string {
	result := map[string]string{}
	for name, values := range md {
		value := strings.Join(values, ",")
		if strings.HasSuffix(name, "-bin") {
			value = base64.StdEncoding.EncodeToString([]byte(value))
		}
		result[name] = value
	}
	return result
}

func failure(err error, trailer metadata.MD) answer {
	state := status.Convert(err)
	return answer{"code": codeName(state.Code()), "message": state.Message(), "trailers": plain(trailer)}
}

func (c *command) publishRequest() (*pb.PublishRequest, error) {
	data, err := c.body()
	return &pb.PublishRequest{Subject: c.Subject, Data: data, Headers: c.Headers}, err
}

func publish(c *command) (answer, error) {
	request, err := c.publishRequest()
	if err != nil {
		return nil, err
	}
	ctx, done := c.context()
	defer done()
	var trailer metadata.MD
	response, err := c.open().ingress.Publish(ctx, request, grpc.Trailer(&trailer))
	if err != nil {
		return answer{"error": failure(err, trailer)}, nil
	}
	wire, err := proto.Marshal(response)
	if err != nil {
		return nil, err
	}
	others := map[string]any{}
	response.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Number() != 1 {
			others[string(field.Name())] = value.Interface()
		}
		return true
	})
	return answer{"sequence": response.GetSequence(), "others": others, "wire": hex.EncodeToString(wire)}, nil
}

// Callers at once; each publishes one message after the other and says in headers which they are.
func publishMany(c *command) (answer, error) {
	ingress := c.open().ingress
	sequences := make([][]uint64, c.Callers)
	failures := make([]error, c.Callers)
	var callers sync.WaitGroup
	for caller := range c.Callers {
		callers.Go(func() {
			for index := range c.Each {
				request, err := c.publishRequest()
				if err != nil {
					failures[caller] = err
					return
				}
				request.Headers = maps.Clone(request.Headers)
				if request.Headers == nil {
					request.Headers = map[string]string{}
				}
				request.Headers["caller"] = strconv.Itoa(caller)
				request.Headers["index"] = strconv.Itoa(index)
				ctx, done := c.context()
				response, err := ingress.Publish(ctx, request)
				done()
				if err != nil {
					failures[caller] = err
					return
				}
				sequences[caller] = append(sequences[caller], response.GetSequence())
			}
		})
	}
	callers.Wait()
	return answer{"sequences": sequences}, errors.Join(failures...)
}

func last(c *command) (answer, error) {
	ctx, done := c.context()
	defer done()
	var trailer metadata.MD
	request := &pb.GetLastSequenceRequest{Subject: c.Subject}
	response, err := c.open().egress.GetLastSequence(ctx, request, grpc.Trailer(&trailer))
	if err != nil {
		return answer{"error": failure(err, trailer)}, nil
	}
	return answer{"last_sequence": response.GetLastSequence()}, nil
}

func messageOf(message *pb.Message) answer {
	sum := sha256.Sum256(message.GetData())
	headers := message.GetHeaders()
	if headers == nil {
		headers = map[string]string{}
	}
	result := answer{
		"subject":      message.GetSubject(),
		"sequence":     message.GetSequence(),
		"size":         len(message.GetData()),
		"sha256":       hex.EncodeToString(sum[:]),
		"headers":      headers,
		"timestamp_ms": message.GetTimestamp().AsTime().UnixMilli(),
	}
	if len(message.GetData()) <= 1024 {
		result["data_base64"] = base64.StdEncoding.EncodeToString(message.GetData())
	}
	return result
}

// Messages until the stream ends. With take it is cancelled after so many; with hold it says so after the first under
// that name, and reads on when it is told to proceed.
func fetch(c *command) (answer, error) {
	ctx, done := c.context()
	defer done()
	request := &pb.FetchRequest{Subject: c.Subject, DurableName: c.Durable, BatchSize: c.Batch}
	stream, err := c.open().egress.Fetch(ctx, request)
	if err != nil {
		return nil, err
	}
	messages := []answer{}
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			return answer{"messages": messages, "trailers": plain(stream.Trailer())}, nil
		}
		if err != nil {
			return answer{"messages": messages, "error": failure(err, stream.Trailer())}, nil
		}
		messages = append(messages, messageOf(message))
		if len(messages) == c.Take {
			return answer{"messages": messages, "trailers": answer{}}, nil
		}
		if len(messages) == 1 && c.Hold != "" {
			hold(c.Hold)
		}
	}
}

func hold(name string) {
	release := make(chan struct{})
	guard.Lock()
	held[name] = release
	guard.Unlock()
	write(answer{"stream": name, "held": true})
	<-release
}

func proceed(c *command) (answer, error) {
	guard.Lock()
	defer guard.Unlock()
	close(held[c.Stream])
	return answer{}, nil
}

// Answers at once; what comes then is written under the name of the stream.
func subscribe(c *command) (answer, error) {
	request, err := subscribeRequest(c)
	if err != nil {
		return nil, err
	}
	ctx, stop := c.context()
	stream, err := c.open().egress.Subscribe(ctx, request)
	if err != nil {
		stop()
		return nil, err
	}
	guard.Lock()
	defer guard.Unlock()
	streams[c.Stream] = stop
	go func() {
		defer stop()
		for {
			notification, err := stream.Recv()
			if err == io.EOF {
				end := answer{"code": "OK", "message": "", "trailers": plain(stream.Trailer())}
				write(answer{"stream": c.Stream, "end": end})
				return
			}
			if err != nil {
				write(answer{"stream": c.Stream, "end": failure(err, stream.Trailer())})
				return
			}
			write(answer{
				"stream":   c.Stream,
				"subject":  notification.GetSubject(),
				"sequence": notification.GetSequence(),
			})
		}
	}()
	return answer{}, nil
}

func cancel(c *command) (answer, error) {
	guard.Lock()
	defer guard.Unlock()
	streams[c.Stream]()
	delete(streams, c.Stream)
	return answer{}, nil
}

// Starts calls of one method and cancels each 0, 1 or 2 ms later, without having read anything.
func cancelEarly(c *command) (answer, error) {
	published, err := c.publishRequest()
	if err != nil {
		return nil, err
	}
	subscribed, err := subscribeRequest(c)
	if err != nil {
		return nil, err
	}
	fetched := &pb.FetchRequest{Subject: c.Subject, DurableName: c.Durable, BatchSize: 100}
	open := c.open()
	one := func(ctx context.Context) error {
		switch c.Method {
		case "Publish":
			_, err := open.ingress.Publish(ctx, published)
			return err
		case "Subscribe":
			stream, err := open.egress.Subscribe(ctx, subscribed)
			if err != nil {
				return err
			}
			return drain(stream.Recv)
		case "Fetch":
			stream, err := open.egress.Fetch(ctx, fetched)
			if err != nil {
				return err
			}
			return drain(stream.Recv)
		}
		return fmt.Errorf("unknown method %s", c.Method)
	}
	counts := map[string]int{}
	var counting sync.Mutex
	var running sync.WaitGroup
	turns := make(chan struct{}, 8)
	for index := range c.Times {
		turns <- struct{}{}
		running.Go(func() {
			ctx, stop := context.WithCancel(context.Background())
			time.AfterFunc(time.Duration(index%3)*time.Millisecond, stop)
			name := codeName(status.Code(one(ctx)))
			counting.Lock()
			counts[name]++
			counting.Unlock()
			<-turns
		})
	}
	running.Wait()
	return answer{"codes": counts}, nil
}

func drain[T any](receive func() (T, error)) error {
	for {
		if _, err := receive(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
