// Notifies a supervisor such as systemd with the protocol of sd_notify(3): datagrams to the socket in
// NOTIFY_SOCKET. Implemented here because it is one send() and needs no libsystemd.
#pragma once

class Supervisor {
 public:
  // Without NOTIFY_SOCKET there is no supervisor, and the other functions do nothing.
  Supervisor();
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  void ready() const;      // the node listens, or has finished reloading
  void reloading() const;  // must be followed by ready()
  void stopping() const;

 private:
  void send(const char* state) const;

  int socket_ = -1;
};
