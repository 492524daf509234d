//go:build early

package main

import (
	"errors"
	"strconv"

	pb "minitoolstream.invalid/testing/grpc/stubs"
)

func subscribeRequest(c *command) (*pb.SubscribeRequest, error) {
	request := &pb.SubscribeRequest{Subject: c.Subject, ConsumerGroup: c.Durable}
	if c.Start == nil {
		return request, nil
	}
	start, err := strconv.ParseUint(*c.Start, 10, 64)
	request.StartSequence = &start
	return request, err
}

// The early clients had no call for it.
func ack(*command) (answer, error) {
	return nil, errors.New("the early generation cannot acknowledge")
}
