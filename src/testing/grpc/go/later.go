//go:build later

package main

import (
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "minitoolstream.invalid/testing/grpc/stubs"
)

func subscribeRequest(c *command) (*pb.SubscribeRequest, error) {
	request := &pb.SubscribeRequest{Subject: c.Subject, DurableName: c.Durable}
	if c.Start == nil {
		return request, nil
	}
	start, err := strconv.ParseUint(*c.Start, 10, 64)
	request.StartSequence = &start
	return request, err
}

func ack(c *command) (answer, error) {
	sequence, err := strconv.ParseUint(c.Sequence, 10, 64)
	if err != nil {
		return nil, err
	}
	ctx, done := c.context()
	defer done()
	var trailer metadata.MD
	request := &pb.AckRequest{DurableName: c.Durable, Subject: c.Subject, Sequence: sequence}
	response, err := c.open().egress.AckMessage(ctx, request, grpc.Trailer(&trailer))
	if err != nil {
		return answer{"error": failure(err, trailer)}, nil
	}
	return answer{"success": response.GetSuccess(), "error_message": response.GetErrorMessage()}, nil
}
