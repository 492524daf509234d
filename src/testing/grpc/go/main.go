// A gRPC client as a program: commands as JSON lines on standard input, answers as JSON lines on standard output.
//
// The commands and their fields are those of ../foreign-client.ts; python/client.py speaks the same. Commands run
// concurrently, each answer carries the id of its command. It is built once for each generation of the protocol (the
// build tags `early` and `later`), with the stubs generated into the folder stubs.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// A command; which fields it has depends on Op.
type command struct {
	ID              int               `json:"id"`
	Op              string            `json:"op"`
	Channel         string            `json:"channel"`
	Target          string            `json:"target"`
	ReceiveBytesMax *int              `json:"receive_bytes_max"`
	Roots           string            `json:"roots"`
	Compress        bool              `json:"compress"`
	Metadata        map[string]string `json:"metadata"`
	DeadlineMs      int               `json:"deadline_ms"`
	Subject         string            `json:"subject"`
	DataBase64      *string           `json:"data_base64"`
	Size            int               `json:"size"`
	Seed            int               `json:"seed"`
	Headers         map[string]string `json:"headers"`
	Callers         int               `json:"callers"`
	Each            int               `json:"each"`
	Durable         string            `json:"durable"`
	Batch           int32             `json:"batch"`
	Take            int               `json:"take"`
	Hold            string            `json:"hold"`
	// Numbers of 64 bits travel as text: JSON's are floats to some.
	Sequence string  `json:"sequence"`
	Start    *string `json:"start"`
	Stream   string  `json:"stream"`
	Method   string  `json:"method"`
	Times    int     `json:"times"`
}

type answer map[string]any

var output sync.Mutex

func write(line answer) {
	text, err := json.Marshal(line)
	if err != nil {
		text = fmt.Appendf(nil, `{"id":%v,"broken":%q}`, line["id"], err.Error())
	}
	output.Lock()
	defer output.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

var verbs = map[string]func(*command) (answer, error){
	"open":         openChannel,
	"close":        closeChannel,
	"publish":      publish,
	"publish_many": publishMany,
	"last":         last,
	"fetch":        fetch,
	"proceed":      proceed,
	"ack":          ack,
	"subscribe":    subscribe,
	"cancel":       cancel,
	"cancel_early": cancelEarly,
}

func run(c *command) {
	verb, ok := verbs[c.Op]
	if !ok {
		write(answer{"id": c.ID, "broken": "unknown command " + c.Op})
		return
	}
	result, err := verb(c)
	if err != nil {
		result = answer{"error": failure(err, nil)}
	}
	result["id"] = c.ID
	write(result)
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		c := new(command)
		if err := json.Unmarshal(line, c); err != nil {
			write(answer{"broken": err.Error()})
			return
		}
		go run(c)
	}
}
