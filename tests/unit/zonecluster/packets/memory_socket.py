"""A UDP socket in memory, for both packet paths: what is put in arrives, what is sent is kept."""

import ctypes

import numpy as np

from zonecluster.packets import mmsg


class MemorySocket:
    def __init__(self):
        self.arriving = []
        self.sent = []
        self.errors = []  # errno of the next calls of `send`, None: it goes
        self.most_at_once = 1 << 30

    # what PlainPath uses

    def recvfrom(self, size):
        if not self.arriving:
            raise BlockingIOError
        data, address = self.arriving.pop(0)
        return data[:size], address

    def sendto(self, data, address):
        self.sent.append((data, address))

    # what BatchPath uses

    def receive(self, messages):
        count = min(len(self.arriving), len(messages.headers))
        for row, (data, address) in enumerate(self.arriving[:count]):
            cut = data[: messages.buffers.shape[1]]
            messages.buffers[row, : len(cut)] = np.frombuffer(cut, np.uint8)
            words, length = mmsg.address_words(address)
            messages.names[row].view(np.uint8)[:length] = words.view(np.uint8)[:length]  # rest: as it was
            messages.headers[row, mmsg.NAME_LENGTH] = length
            messages.headers[row, mmsg.LENGTH] = len(data)
        del self.arriving[:count]
        return (count, 0) if count else (-1, 11)

    def send(self, messages, start, stop):
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            return -1, error
        stop = min(stop, start + self.most_at_once)
        for name, name_length, iovec, iovec_count, *_ in messages.headers[start:stop].tolist():
            assert iovec_count == 1
            words = np.frombuffer(ctypes.string_at(name, name_length).ljust(32, b"\0"), np.uint64)
            where, size = np.frombuffer(ctypes.string_at(iovec, 16), np.uint64).tolist()
            self.sent.append((ctypes.string_at(where, size), mmsg.address_of(words)))
        return stop - start, 0

    def send_one(self, data, address):
        self.sent.append((data, address))
        return True

    def wait_for_room(self, seconds):
        pass
