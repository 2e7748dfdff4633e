# Owns one PostgreSQL server in $DIR: does what it is told, a word a line, and answers a line to each. When nobody is
# there to tell any more, however they ended, the server and its files go.
trap '' INT TERM
pid=

# Not even a supervisor that is killed leaves a server running.
as_owner() {
  if [ "$(id -u)" = 0 ]; then
    exec setpriv --reuid=postgres --regid=postgres --init-groups --pdeathsig QUIT "$@"
  fi
  exec setpriv --pdeathsig QUIT "$@"
}

start() {
  (as_owner "$BIN/postgres" -D "$DIR/data" -k "$DIR" -p "$PORT" >>"$DIR/log" 2>&1 </dev/null) &
  pid=$!
  until "$BIN/pg_isready" -q -h 127.0.0.1 -p "$PORT"; do
    if ! kill -0 "$pid" 2>/dev/null; then
      echo "failed: $(tail -n 5 "$DIR/log" | tr '\n' ' ')"
      return
    fi
    sleep 0.05
  done
  echo ready
}

# A killed server's children notice on their own, some time; a crash of the machine would not wait for that.
end() {
  [ -n "$pid" ] || return 1
  children=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
  kill -CONT "$pid" 2>/dev/null
  kill -"$1" "$pid" 2>/dev/null
  if [ "$1" = KILL ]; then
    for child in $children; do kill -KILL "$child" 2>/dev/null; done
  fi
  wait "$pid" 2>/dev/null
  for child in $children; do
    while kill -0 "$child" 2>/dev/null; do sleep 0.02; done
  done
  pid=
  return 0
}

# The server first: stopped, it starts no other child. A child that has ended by itself meanwhile needs no signal.
signal() {
  kill -"$1" "$pid" || return
  for child in $(cat "/proc/$pid/task/$pid/children"); do kill -"$1" "$child" 2>/dev/null; done
  return 0
}

# Whoever asked waits for the line: there is one, whatever has happened.
answer() {
  if [ "$?" = 0 ]; then echo "$1"; else echo "failed: no server runs"; fi
}

while read -r word; do
  case $word in
  start) start ;;
  stop) end INT; answer stopped ;;
  kill) end KILL; answer killed ;;
  pause) signal STOP; answer paused ;;
  resume) signal CONT; answer resumed ;;
  esac
done
end QUIT
rm -rf "$DIR"
