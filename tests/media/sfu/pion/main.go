// Publishes numbered pictures by WHIP with Pion, or watches them by WHEP and says what came.
//
//	pion publish URL [KEY]   until standard input ends; says how often a keyframe was asked for
//	pion watch URL PICTURES  until that many came in order
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v3"
)

const (
	picturesPerSecond = 30
	packetsPerPicture = 3
	payloadBytes      = 1000
	ticksPerPicture   = 90000 / picturesPerSecond
	deadline          = 60 * time.Second
)

var vp8 = webrtc.RTPCodecParameters{
	RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000},
	PayloadType:        96,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(words []string) error {
	connection, err := open()
	if err != nil {
		return err
	}
	defer connection.Close()
	switch {
	case len(words) == 2 && words[0] == "publish":
		return publish(connection, words[1], "")
	case len(words) == 3 && words[0] == "publish":
		return publish(connection, words[1], words[2])
	case len(words) == 3 && words[0] == "watch":
		pictures, err := strconv.Atoi(words[2])
		if err != nil {
			return err
		}
		return watch(connection, words[1], pictures)
	}
	return errors.New("publish URL [KEY] | watch URL PICTURES")
}

// open makes a connection with Pion's own interceptors: NACK, reports, arrival times.
func open() (*webrtc.PeerConnection, error) {
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	codecs, repairs := &webrtc.MediaEngine{}, &interceptor.Registry{}
	if err := codecs.RegisterCodec(vp8, webrtc.RTPCodecTypeVideo); err != nil {
		return nil, err
	}
	if err := webrtc.RegisterDefaultInterceptors(codecs, repairs); err != nil {
		return nil, err
	}
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings),
		webrtc.WithMediaEngine(codecs), webrtc.WithInterceptorRegistry(repairs))
	return api.NewPeerConnection(webrtc.Configuration{})
}

// connect offers, and returns where the session can be ended.
func connect(connection *webrtc.PeerConnection, url, key string) (string, error) {
	offer, err := connection.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(connection)
	if err := connection.SetLocalDescription(offer); err != nil {
		return "", err
	}
	<-gathered
	body := strings.NewReader(connection.LocalDescription().SDP)
	request, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/sdp")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("%s: %s %s", url, response.Status, answer)
	}
	where, err := response.Location()
	if err != nil {
		return "", err
	}
	return where.String(), connection.SetRemoteDescription(
		webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)})
}

// leave ends a session (RFC 9725 §4.2).
func leave(session string) error {
	request, err := http.NewRequest(http.MethodDelete, session, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("DELETE %s: %s", session, response.Status)
	}
	return nil
}

func publish(connection *webrtc.PeerConnection, url, key string) error {
	track, err := webrtc.NewTrackLocalStaticRTP(vp8.RTPCodecCapability, "video", "pion")
	if err != nil {
		return err
	}
	sender, err := connection.AddTrack(track)
	if err != nil {
		return err
	}
	var wishes, answered int64
	go func() {
		for {
			packets, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, packet := range packets {
				if _, isWish := packet.(*rtcp.PictureLossIndication); isWish {
					atomic.AddInt64(&wishes, 1)
				}
			}
		}
	}()
	session, err := connect(connection, url, key)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	clock := time.NewTicker(time.Second / picturesPerSecond)
	seq := uint16(65000) // the wrap comes within a few seconds
	for picture := uint32(0); ; picture++ {
		select {
		case <-ended:
			fmt.Println(atomic.LoadInt64(&wishes))
			if key == "" {
				return nil
			}
			return leave(session)
		case <-clock.C:
		}
		wished := atomic.LoadInt64(&wishes)
		isKeyframe := picture == 0 || wished > answered
		answered = wished
		for part := 0; part < packetsPerPicture; part++ {
			packet := &rtp.Packet{Header: rtp.Header{
				Version:        2,
				SequenceNumber: seq,
				Timestamp:      picture * ticksPerPicture,
				Marker:         part == packetsPerPicture-1,
			}, Payload: makePayload(picture, part, isKeyframe)}
			seq++
			if err := track.WriteRTP(packet); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				return err
			}
		}
	}
}

// makePayload writes a VP8 payload descriptor (RFC 7741 §4.2), the frame's first byte, the number.
func makePayload(picture uint32, part int, isKeyframe bool) []byte {
	payload := make([]byte, payloadBytes)
	if part == 0 {
		payload[0] = 0x10
	}
	if !isKeyframe {
		payload[1] = 0x01
	}
	binary.BigEndian.PutUint32(payload[2:], picture)
	return payload
}

func watch(connection *webrtc.PeerConnection, url string, pictures int) error {
	kind := webrtc.RTPCodecTypeVideo
	direction := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	if _, err := connection.AddTransceiverFromKind(kind, direction); err != nil {
		return err
	}
	outcome := make(chan error, 1)
	connection.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		outcome <- play(track, pictures)
	})
	if _, err := connect(connection, url, ""); err != nil {
		return err
	}
	select {
	case err := <-outcome:
		return err
	case <-time.After(deadline):
		return errors.New("too little came in time")
	}
}

// play takes packets in order, waits for those that were lost, and counts pictures.
//
// It prints how many it showed, how many packets had to wait, and the longest time without one.
func play(track *webrtc.TrackRemote, pictures int) error {
	waiting := map[uint16]*rtp.Packet{}
	var next uint16
	var last uint32
	var lastAt time.Time
	var longest time.Duration
	hasBegun, waited, shown := false, 0, 0
	for shown < pictures {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return err
		}
		if !hasBegun {
			if packet.Payload[0] != 0x10 || packet.Payload[1] != 0 {
				continue // a decoder begins with a keyframe
			}
			hasBegun, next = true, packet.SequenceNumber
		}
		waiting[packet.SequenceNumber] = packet
		if packet.SequenceNumber != next {
			waited++
		}
		for waiting[next] != nil {
			packet := waiting[next]
			delete(waiting, next)
			next++
			picture := binary.BigEndian.Uint32(packet.Payload[2:])
			if shown > 0 && picture != last && picture != last+1 {
				return fmt.Errorf("picture %d follows %d", picture, last)
			}
			last = picture
			if packet.Marker {
				if now := time.Now(); shown > 0 && now.Sub(lastAt) > longest {
					longest = now.Sub(lastAt)
				}
				lastAt = time.Now()
				shown++
			}
		}
	}
	fmt.Printf("%d %d %d\n", shown, waited, longest.Milliseconds())
	return nil
}
