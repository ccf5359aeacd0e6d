// The Go program that this one is a port of, with its single server: a map behind a lock, a file that
// is loaded at the start, and a goroutine that writes new links to it without waiting for the disk.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync"
)

type record struct{ Key, URL string }

type URLStore struct {
	urls map[string]string
	mu   sync.RWMutex
	save chan record
}

func NewURLStore(filename string) *URLStore {
	s := &URLStore{urls: make(map[string]string), save: make(chan record, 1000)}
	if f, err := os.Open(filename); err == nil {
		d := json.NewDecoder(f)
		for r := (record{}); d.Decode(&r) == nil; {
			s.Set(r.Key, r.URL)
		}
		f.Close()
	}
	go s.saveLoop(filename)
	return s
}

func (s *URLStore) Get(key string) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if url, ok := s.urls[key]; ok {
		return url, nil
	}
	return "", errors.New("key not found")
}

func (s *URLStore) Set(key, url string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, present := s.urls[key]; present {
		return errors.New("key already exists")
	}
	s.urls[key] = url
	return nil
}

func (s *URLStore) Count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.urls)
}

func (s *URLStore) Put(url string) string {
	for {
		key := genKey(s.Count())
		if s.Set(key, url) == nil {
			s.save <- record{key, url}
			return key
		}
	}
}

func (s *URLStore) saveLoop(filename string) {
	f, err := os.OpenFile(filename, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	e := json.NewEncoder(f)
	for r := range s.save {
		if err := e.Encode(r); err != nil {
			log.Println("saving:", err)
		}
	}
}

const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func genKey(n int) (key string) {
	for ok := true; ok; ok = n > 0 {
		key = digits[n%62:n%62+1] + key
		n /= 62
	}
	return
}

func main() {
	address := flag.String("http", "127.0.0.1:8080", "where to listen")
	file := flag.String("file", "store.jsonl", "where the links are")
	flag.Parse()
	store := NewURLStore(*file)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		url, err := store.Get(r.URL.Path[1:])
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, url, http.StatusFound)
	})
	http.HandleFunc("/add", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "http://%s/%s", *address, store.Put(r.FormValue("url")))
	})
	log.Fatal(http.ListenAndServe(*address, nil))
}
