// What a supervisor is told by sd_notify's protocol: datagrams to the socket that NOTIFY_SOCKET names
// (sd_notify(3)). Written here and not by libsystemd: it is one send, and works wherever bopd does.
#pragma once

class Supervisor {
 public:
  // Without NOTIFY_SOCKET there is none, and all below does nothing.
  Supervisor();
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  void ready() const;      // it listens, or has reloaded
  void reloading() const;  // ready() follows
  void stopping() const;

 private:
  void send(const char* state) const;

  int socket_ = -1;
};
