// reviews is a team's own service: any image with an HTTP port may join a shop, in any language.
// The story `team_service` builds it, applies crds/examples/good/team-service.yaml and uses it as
// a client would. It shows all that a team has to know: the login of its database is in files under
// /bindings/database, `migrate` runs before anything serves, probes are plain HTTP.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	listen    = ":8000"
	bodyLimit = 16 << 10
	pageLimit = 20
)

type review struct {
	Product string `json:"product"`
	Text    string `json:"text"`
	Stars   int    `json:"stars"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	uri, err := os.ReadFile("/bindings/database/uri")
	if err != nil {
		log.Fatalf("the database binding is not mounted: %v", err)
	}
	pool, err := pgxpool.New(ctx, strings.TrimSpace(string(uri)))
	if err != nil {
		log.Fatalf("the database binding cannot be read: %v", redacted(err))
	}
	defer pool.Close()
	if len(os.Args) > 1 && os.Args[1] == "migrate" {
		if err := migrate(ctx, pool); err != nil {
			log.Fatalf("migrating: %v", err)
		}
		return
	}
	if err := serve(ctx, pool); err != nil {
		log.Fatal(err)
	}
}

// redacted: a parse error of pgx repeats the connection string, which holds the password.
func redacted(error) error { return errors.New("it is not a PostgreSQL URI") }

func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := pool.Exec(ctx, `create table if not exists reviews (
		review_id bigint generated always as identity primary key,
		product text not null,
		text citext not null check (length(text) between 1 and 4000),
		stars int not null check (stars between 1 and 5),
		written_at timestamptz not null default now()
	)`)
	return err
}

func serve(ctx context.Context, pool *pgxpool.Pool) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, _ *http.Request) {})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		if err := pool.Ping(r.Context()); err != nil {
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /v1/reviews", func(w http.ResponseWriter, r *http.Request) { list(w, r, pool) })
	mux.HandleFunc("POST /v1/reviews", func(w http.ResponseWriter, r *http.Request) { write(w, r, pool) })
	// The gateway lets nobody but administrators through to this one.
	mux.HandleFunc("GET /v1/reviews/moderation", func(w http.ResponseWriter, r *http.Request) { list(w, r, pool) })
	server := &http.Server{Addr: listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 90 * time.Second}
	go func() {
		<-ctx.Done()
		// Endpoints are removed while we drain: serve on until the others have noticed.
		drain, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		_ = server.Shutdown(drain)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func list(w http.ResponseWriter, r *http.Request, pool *pgxpool.Pool) {
	rows, err := pool.Query(r.Context(),
		`select product, text::text, stars from reviews order by review_id desc limit $1`, pageLimit)
	if err != nil {
		fail(w, err)
		return
	}
	defer rows.Close()
	reviews := []review{}
	for rows.Next() {
		var one review
		if err := rows.Scan(&one.Product, &one.Text, &one.Stars); err != nil {
			fail(w, err)
			return
		}
		reviews = append(reviews, one)
	}
	if err := rows.Err(); err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"items": reviews})
}

func write(w http.ResponseWriter, r *http.Request, pool *pgxpool.Pool) {
	var one review
	body := http.MaxBytesReader(w, r.Body, bodyLimit)
	if err := json.NewDecoder(body).Decode(&one); err != nil {
		http.Error(w, "the body is not a review", http.StatusBadRequest)
		return
	}
	_, err := pool.Exec(r.Context(), `insert into reviews (product, text, stars) values ($1, $2, $3)`,
		one.Product, one.Text, one.Stars)
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusCreated, one)
}

func fail(w http.ResponseWriter, err error) {
	log.Printf("query failed: %v", err)
	http.Error(w, "the database refused", http.StatusInternalServerError)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
