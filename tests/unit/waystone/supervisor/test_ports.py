"""Reading the kernel's tables of sockets."""

from waystone.supervisor.ports import socket_inodes

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000
   1: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000
   2: 0100007F:1F40 0100007F:D2A4 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0000
"""


def test_only_listening_sockets_of_the_port_are_found():
    assert socket_inodes(TCP, 8000, "0A") == {"4711"}
    assert socket_inodes(TCP, 8001, "0A") == {"4712"}
    assert socket_inodes(TCP, 9, "0A") == set()


def test_a_line_that_is_cut_off_is_passed_over():
    assert socket_inodes("header\n 0: 0100007F:1F40 0000", 8000, "0A") == set()
