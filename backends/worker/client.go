package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

// Client is a backends.Backend that runs every session in a fresh process of its own, so that a death costs one session.
// Probe has one more process, which is started when the first question comes and ended when none has come for a second.
type Client struct {
	spec Spec

	mu    sync.Mutex
	asks  *Worker     // nil while there is none
	idle  *time.Timer // ends asks
	stuck error       // of processes for questions that nobody was there to hear of
}

// questionIdle is how long the process for questions waits for the next one.
const questionIdle = time.Second

// New returns a backend that starts workers as spec says. Nothing is started before the first question or Compile.
func New(spec Spec) *Client { return &Client{spec: spec} }

// Name returns the name of the backend.
func (c *Client) Name() string { return c.spec.Name }

// Probe asks a worker. One that is missing, does not start, speaks another version or dies over the question is a reason.
func (c *Client) Probe(ctx context.Context) (a backends.Availability) {
	err := c.ask(ctx, func(w *Worker) error {
		a = w.Probe(ctx)
		return nil
	})
	if err != nil {
		return unavailable(err)
	}
	return a
}

// ask runs a question on the process for questions.
func (c *Client) ask(ctx context.Context, question func(*Worker) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asks != nil && (c.asks.ended() || c.asks.life.Err() != nil) { // ending, with the context of an earlier question
		c.dismiss()
	}
	if c.asks == nil {
		w, err := Start(ctx, c.spec)
		if err != nil {
			return err
		}
		c.asks = w
		c.idle = time.AfterFunc(questionIdle, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.asks == w {
				c.dismiss()
			}
		})
	}
	c.idle.Stop()
	err := question(c.asks)
	c.idle.Reset(questionIdle)
	return err
}

func (c *Client) dismiss() {
	if c.asks != nil {
		c.idle.Stop()
		c.stuck = errors.Join(c.stuck, c.asks.Close())
		c.asks = nil
	}
}

// Compile starts a worker and compiles the graph there. Closing the session ends the worker, and so does the end of ctx.
func (c *Client) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	w, err := Start(ctx, c.spec)
	if err != nil {
		return nil, err
	}
	s, err := w.Open(ctx, g, opts)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	s.owned = true
	return s, nil
}

// Close ends the process for questions, if it runs. Sessions go on. It fails where that process, or one before it, is a *Stuck.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dismiss()
	return c.stuck
}
