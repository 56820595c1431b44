"""What kafka-python's tests call a service, which its source distribution lacks: here all servers are somebody else's."""


class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def dump_logs(self):
        pass

    def stop(self):
        pass


SpawnedService = None
