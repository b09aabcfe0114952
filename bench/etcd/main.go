// A closed-loop load on etcd, measured as the other loaders of bench/ measure: every client keeps
// `pipeline` requests under way, keys are uniform, and what comes out is one JSON object.
//
// go run . --endpoints 127.0.0.1:2379 --clients 64 --time 5s
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

type load struct {
	endpoints   string
	clients     int
	pipeline    int
	connections int
	keys        int
	size        int
	duration    time.Duration
	readRatio   float64
	preload     bool
}

// What one worker saw; merged when all have ended.
type tally struct {
	latencies []time.Duration
	errors    int
	lastError error
}

type result struct {
	Ops       int     `json:"ops"`
	OpsPerS   float64 `json:"ops_per_s"`
	P50Us     float64 `json:"p50_us"`
	P99Us     float64 `json:"p99_us"`
	MaxUs     float64 `json:"max_us"`
	Errors    int     `json:"errors"`
	Seconds   float64 `json:"seconds"`
	LastError string  `json:"last_error,omitempty"`
}

func key(number int) string { return fmt.Sprintf("k%015d", number) }

func value(random *rand.Rand, size int) string {
	bytes := make([]byte, size)
	for i := range bytes {
		bytes[i] = byte('a' + random.Intn(26))
	}
	return string(bytes)
}

func connect(l load) ([]*clientv3.Client, error) {
	clients := make([]*clientv3.Client, l.connections)
	for i := range clients {
		client, err := clientv3.New(clientv3.Config{
			Endpoints:   strings.Split(l.endpoints, ","),
			DialTimeout: 5 * time.Second,
		})
		if err != nil {
			return nil, err
		}
		// The connection is made by the first request, which is not to be measured.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err = client.Get(ctx, key(0))
		cancel()
		if err != nil {
			return nil, err
		}
		clients[i] = client
	}
	return clients, nil
}

// Puts every key once, a hundred a transaction (etcd's own limit is 128).
func fill(l load, clients []*clientv3.Client) error {
	const perTransaction = 100
	var group sync.WaitGroup
	failures := make(chan error, 64)
	for worker := 0; worker < cap(failures); worker++ {
		group.Add(1)
		go func(worker int) {
			defer group.Done()
			random := rand.New(rand.NewSource(int64(worker)))
			client := clients[worker%len(clients)]
			for first := worker * perTransaction; first < l.keys; first += cap(failures) * perTransaction {
				var puts []clientv3.Op
				for number := first; number < first+perTransaction && number < l.keys; number++ {
					puts = append(puts, clientv3.OpPut(key(number), value(random, l.size)))
				}
				if _, err := client.Txn(context.Background()).Then(puts...).Commit(); err != nil {
					failures <- err
					return
				}
			}
		}(worker)
	}
	group.Wait()
	close(failures)
	return <-failures
}

func work(l load, client *clientv3.Client, seed int64, end time.Time, t *tally) {
	random := rand.New(rand.NewSource(seed))
	data := value(random, l.size)
	for {
		began := time.Now()
		if !began.Before(end) {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		var err error
		if name := key(random.Intn(l.keys)); random.Float64() < l.readRatio {
			_, err = client.Get(ctx, name) // linearizable unless asked otherwise
		} else {
			_, err = client.Put(ctx, name, data)
		}
		cancel()
		if err != nil {
			t.errors++
			t.lastError = err
			continue
		}
		t.latencies = append(t.latencies, time.Since(began))
	}
}

func measure(l load, clients []*clientv3.Client) result {
	tallies := make([]tally, l.clients*l.pipeline)
	var group sync.WaitGroup
	began := time.Now()
	end := began.Add(l.duration)
	for i := range tallies {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			work(l, clients[i%len(clients)], int64(i), end, &tallies[i])
		}(i)
	}
	group.Wait()
	return summarize(tallies, time.Since(began))
}

func summarize(tallies []tally, elapsed time.Duration) result {
	var all []time.Duration
	r := result{Seconds: elapsed.Seconds()}
	for _, t := range tallies {
		all = append(all, t.latencies...)
		r.Errors += t.errors
		if t.lastError != nil {
			r.LastError = t.lastError.Error()
		}
	}
	r.Ops = len(all)
	r.OpsPerS = float64(r.Ops) / elapsed.Seconds()
	if r.Ops > 0 {
		sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
		at := func(share float64) float64 {
			return float64(all[int(share*float64(r.Ops-1))]) / float64(time.Microsecond)
		}
		r.P50Us, r.P99Us, r.MaxUs = at(0.5), at(0.99), at(1)
	}
	return r
}

func run() error {
	var l load
	flag.StringVar(&l.endpoints, "endpoints", "127.0.0.1:2379", "where to send, HOST:PORT[,...]")
	flag.IntVar(&l.clients, "clients", 1, "clients")
	flag.IntVar(&l.pipeline, "pipeline", 1, "requests under way a client")
	flag.IntVar(&l.connections, "connections", 0, "connections that the clients share; 0: one a client")
	flag.IntVar(&l.keys, "keys", 100000, "keys, drawn uniformly")
	flag.IntVar(&l.size, "size", 256, "bytes a value")
	flag.DurationVar(&l.duration, "time", 5*time.Second, "how long")
	flag.Float64Var(&l.readRatio, "read-ratio", 0, "share of linearizable gets")
	flag.BoolVar(&l.preload, "preload", false, "put every key once, and measure nothing")
	flag.Parse()
	if l.connections == 0 {
		l.connections = l.clients
	}
	clients, err := connect(l)
	if err != nil {
		return err
	}
	if l.preload {
		return fill(l, clients)
	}
	return json.NewEncoder(os.Stdout).Encode(measure(l, clients))
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "etcd load:", err)
		os.Exit(1)
	}
}
